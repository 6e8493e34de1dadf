/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLECLOCK_H
#define SAMPLECLOCK_H

#include <stddef.h>

/*
 * Writes a duration as days, hours, minutes and seconds ("1d 02:03:04") to buf.
 * Returns the length, or -1 if seconds are negative or the size is too small.
 */
int sampleclock_format(long seconds, char *buf, size_t size);

/* Seconds since the system was started, or -1 if the kernel does not tell. */
long sampleclock_uptime(void);

#endif
