/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>

#ifdef REAL_TIME
#include <sched.h>
#endif

#define ROUNDS 100
#define PAUSE_NS 1000000L

static long microseconds(const struct timespec *from, const struct timespec *to)
{
    return (to->tv_sec - from->tv_sec) * 1000000L + (to->tv_nsec - from->tv_nsec) / 1000;
}

int main(void)
{
    long worst = 0;
    int i;

#ifdef REAL_TIME
    struct sched_param param = { .sched_priority = 50 };

    if (sched_setscheduler(0, SCHED_FIFO, &param) != 0) {
        perror("sample-latency: SCHED_FIFO");
        return 1;
    }
#endif
    for (i = 0; i < ROUNDS; i++) {
        struct timespec pause = { 0, PAUSE_NS }, before, after;
        long late;

        clock_gettime(CLOCK_MONOTONIC, &before);
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &after);
        late = microseconds(&before, &after) - PAUSE_NS / 1000;
        if (late > worst)
            worst = late;
    }
    printf("worst of %d timers: %ld us late\n", ROUNDS, worst);
    return 0;
}
