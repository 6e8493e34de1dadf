/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts the calls that a program makes on files below one directory, and lets the n-th of them fail
 * or end the program. To be preloaded (LD_PRELOAD); it does nothing before fault_arm() is called.
 *
 * Two kinds are counted, each for itself: calls that change the disk, and calls that read it. With an
 * errno the n-th call fails with it and does nothing; without one the process is killed before the
 * n-th call, and in the middle of it if that is a write. "From then on" is for a full disk: every later
 * call that takes room fails, too.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CHANGE = 0, READ = 1 };

static char root[PATH_MAX];
static size_t root_length;
static long counts[2];
static long fail_at;
static int fail_kind, fail_error, fail_onwards;

void fault_arm(const char *directory, int kind, long at, int error, int onwards)
{
    counts[CHANGE] = counts[READ] = 0;
    fail_kind = kind;
    fail_at = at;
    fail_error = error;
    fail_onwards = onwards;
    root_length = strlen(directory);
    memcpy(root, directory, root_length + 1);
}

long fault_count(int kind) { return counts[kind]; }

/* The name of an open file, by a system call that is not counted. */
static int name_of(int fd, char *path, size_t size)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    path[length > 0 ? length : 0] = 0;
    return length > 0;
}

static int below(const char *path)
{
    return strncmp(path, root, root_length) == 0 &&
           (path[root_length] == '/' || path[root_length] == 0);
}

static int concerns(int fd, const char *path)
{
    char name[PATH_MAX];
    int other;
    if (!root_length)
        return 0;
    if (path && sscanf(path, "/proc/self/fd/%d", &other) == 1)
        return name_of(other, name, sizeof name) && below(name);
    if (path && *path == '/')
        return below(path);
    return fd >= 0 && name_of(fd, name, sizeof name) && below(name);
}

static int counted(int kind, int takes_room)
{
    long number = __atomic_add_fetch(&counts[kind], 1, __ATOMIC_SEQ_CST);
    if (kind != fail_kind)
        return 0;
    return number == fail_at || (fail_onwards && takes_room && number > fail_at);
}

/* Whether this call is to fail; does not return if it is to kill. */
static int fails(int kind, int takes_room, int fd, const char *path)
{
    int before = errno;
    int hit = concerns(fd, path) && counted(kind, takes_room);
    errno = before;
    if (!hit)
        return 0;
    if (!fail_error)
        raise(SIGKILL);
    errno = fail_error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define CALL(result, failure, name, parameters, arguments, kind, takes_room, fd, path) \
    result name parameters                                                             \
    {                                                                                  \
        static __typeof__(&name) real;                                                 \
        if (!real)                                                                     \
            real = REAL(name);                                                         \
        return fails(kind, takes_room, fd, path) ? failure : real arguments;           \
    }

#define OPEN(name, parameters, fd, ...)                                                            \
    int name parameters                                                                            \
    {                                                                                              \
        static __typeof__(&name) real;                                                             \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                              \
        if (!real)                                                                                 \
            real = REAL(name);                                                                     \
        int changes = (flags & (O_CREAT | O_TRUNC)) != 0;                                          \
        return fails(changes ? CHANGE : READ, flags & O_CREAT, fd, path) ? -1                      \
                                                                         : real(__VA_ARGS__, mode); \
    }

OPEN(open, (const char *path, int flags, ...), -1, path, flags)
OPEN(open64, (const char *path, int flags, ...), -1, path, flags)
OPEN(openat, (int fd, const char *path, int flags, ...), fd, fd, path, flags)
OPEN(openat64, (int fd, const char *path, int flags, ...), fd, fd, path, flags)

CALL(int, -1, mkdir, (const char *p, mode_t m), (p, m), CHANGE, 1, -1, p)
CALL(int, -1, mkdirat, (int d, const char *p, mode_t m), (d, p, m), CHANGE, 1, d, p)
CALL(int, -1, rmdir, (const char *p), (p), CHANGE, 0, -1, p)
CALL(int, -1, unlink, (const char *p), (p), CHANGE, 0, -1, p)
CALL(int, -1, unlinkat, (int d, const char *p, int f), (d, p, f), CHANGE, 0, d, p)
CALL(int, -1, rename, (const char *a, const char *b), (a, b), CHANGE, 1, -1, b)
CALL(int, -1, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b), CHANGE, 1, e, b)
CALL(int, -1, link, (const char *a, const char *b), (a, b), CHANGE, 1, -1, b)
CALL(int, -1, linkat, (int d, const char *a, int e, const char *b, int f), (d, a, e, b, f), CHANGE,
     1, e, b)
CALL(int, -1, symlink, (const char *a, const char *b), (a, b), CHANGE, 1, -1, b)
CALL(int, -1, symlinkat, (const char *a, int e, const char *b), (a, e, b), CHANGE, 1, e, b)
CALL(int, -1, chmod, (const char *p, mode_t m), (p, m), CHANGE, 0, -1, p)
CALL(int, -1, fchmod, (int d, mode_t m), (d, m), CHANGE, 0, d, NULL)
CALL(int, -1, fchmodat, (int d, const char *p, mode_t m, int f), (d, p, m, f), CHANGE, 0, d, p)
CALL(int, -1, ftruncate, (int d, off_t n), (d, n), CHANGE, 0, d, NULL)
CALL(int, -1, ftruncate64, (int d, off64_t n), (d, n), CHANGE, 0, d, NULL)
CALL(int, -1, fsync, (int d), (d), CHANGE, 1, d, NULL)
CALL(int, -1, fdatasync, (int d), (d), CHANGE, 1, d, NULL)

CALL(DIR *, NULL, opendir, (const char *p), (p), READ, 0, -1, p)
CALL(DIR *, NULL, fdopendir, (int d), (d), READ, 0, d, NULL)
CALL(struct dirent64 *, NULL, readdir64, (DIR * s), (s), READ, 0, dirfd(s), NULL)
CALL(ssize_t, -1, read, (int d, void *b, size_t n), (d, b, n), READ, 0, d, NULL)
CALL(ssize_t, -1, pread, (int d, void *b, size_t n, off_t o), (d, b, n, o), READ, 0, d, NULL)
CALL(ssize_t, -1, pread64, (int d, void *b, size_t n, off64_t o), (d, b, n, o), READ, 0, d, NULL)
CALL(ssize_t, -1, readlink, (const char *p, char *b, size_t n), (p, b, n), READ, 0, -1, p)
CALL(ssize_t, -1, readlinkat, (int d, const char *p, char *b, size_t n), (d, p, b, n), READ, 0, d, p)
CALL(int, -1, stat64, (const char *p, struct stat64 *s), (p, s), READ, 0, -1, p)
CALL(int, -1, lstat64, (const char *p, struct stat64 *s), (p, s), READ, 0, -1, p)
CALL(int, -1, fstat64, (int d, struct stat64 *s), (d, s), READ, 0, d, NULL)
CALL(int, -1, fstatat64, (int d, const char *p, struct stat64 *s, int f), (d, p, s, f), READ, 0, d, p)

/* A write that is cut off leaves a part of what was to be written. */
#define WRITE(name, parameters, whole, half)                \
    ssize_t name parameters                                 \
    {                                                       \
        static __typeof__(&name) real;                      \
        if (!real)                                          \
            real = REAL(name);                              \
        int before = errno;                                 \
        int hit = concerns(d, NULL) && counted(CHANGE, 1);  \
        errno = before;                                     \
        if (hit && !fail_error) {                           \
            (void)!real half;                               \
            raise(SIGKILL);                                 \
        }                                                   \
        if (hit) {                                          \
            errno = fail_error;                             \
            return -1;                                      \
        }                                                   \
        return real whole;                                  \
    }

WRITE(write, (int d, const void *b, size_t n), (d, b, n), (d, b, n / 2))
WRITE(pwrite, (int d, const void *b, size_t n, off_t o), (d, b, n, o), (d, b, n / 2, o))
WRITE(pwrite64, (int d, const void *b, size_t n, off64_t o), (d, b, n, o), (d, b, n / 2, o))
