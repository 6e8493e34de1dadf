/* SPDX-License-Identifier: Apache-2.0 */
#include <sampleclock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A reader never sees half a line: the new file replaces the old one. */
static int beat(const char *path)
{
    char temporary[256], line[32];
    FILE *file;

    if (sampleclock_format(sampleclock_uptime(), line, sizeof line) < 0)
        return -1;
    if (strcmp(path, "-") == 0)
        return printf("up %s\n", line) < 0 || fflush(stdout) != 0 ? -1 : 0;
    snprintf(temporary, sizeof temporary, "%s.new", path);
    file = fopen(temporary, "w");
    if (!file)
        return -1;
    fprintf(file, "up %s\n", line);
    if (fclose(file) != 0)
        return -1;
    return rename(temporary, path);
}

/* As the first process of a container it would otherwise not be ended by a signal. */
static void end(int number)
{
    (void)number;
    _exit(0);
}

int main(int argc, char **argv)
{
    int once = argc == 3 && strcmp(argv[1], "--once") == 0;

    if (!once && argc != 2) {
        fprintf(stderr, "usage: sample-clockd [--once] <file>|-\n");
        return 2;
    }
    signal(SIGTERM, end);
    for (;;) {
        if (beat(argv[argc - 1]) != 0) {
            perror("sample-clockd");
            return 1;
        }
        if (once)
            return 0;
        sleep(1);
    }
}
