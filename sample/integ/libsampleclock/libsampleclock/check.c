/* SPDX-License-Identifier: Apache-2.0 */
#include "sampleclock.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    char buf[32];

    if (sampleclock_format(93784, buf, sizeof buf) != 11 || strcmp(buf, "1d 02:03:04") != 0)
        return 1;
    if (sampleclock_format(-1, buf, sizeof buf) != -1 || sampleclock_format(1, buf, 4) != -1)
        return 2;
    if (sampleclock_uptime() <= 0)
        return 3;
    puts("libsampleclock: checked");
    return 0;
}
