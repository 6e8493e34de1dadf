/* SPDX-License-Identifier: Apache-2.0 */
#include "sampleclock.h"

#include <stdio.h>
#include <time.h>

int sampleclock_format(long seconds, char *buf, size_t size)
{
    int length;

    if (seconds < 0)
        return -1;
    length = snprintf(buf, size, "%ldd %02ld:%02ld:%02ld", seconds / 86400,
                      seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    return length >= 0 && (size_t)length < size ? length : -1;
}

long sampleclock_uptime(void)
{
    struct timespec now;

    return clock_gettime(CLOCK_BOOTTIME, &now) == 0 ? (long)now.tv_sec : -1;
}
