/* The wall clock of a program, off by as many seconds as the file SOAK_CLOCK says, a double; preloaded.

   libfaketime does more than that, and too much: Debian 12's breaks either time.sleep or waiting with a timeout, as
   Python waits, on the monotonic clock. This leaves all but the wall clock alone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile double *off;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SOAK_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    real = dlsym(RTLD_NEXT, "clock_gettime");
    if (fd >= 0) {
        void *found = mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, fd, 0);
        off = found == MAP_FAILED ? NULL : found;
        close(fd);
    }
}

int clock_gettime(clockid_t which, struct timespec *now) {
    if (!real) begin();
    int status = real(which, now);
    if (status == 0 && off && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
        double seconds = *off;
        long whole = (long)seconds;
        now->tv_sec += whole;
        now->tv_nsec += (long)((seconds - (double)whole) * 1e9);
        if (now->tv_nsec >= 1000000000L) { now->tv_nsec -= 1000000000L; now->tv_sec++; }
        if (now->tv_nsec < 0) { now->tv_nsec += 1000000000L; now->tv_sec--; }
    }
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    int status = clock_gettime(CLOCK_REALTIME, &found);
    if (status == 0 && now) { now->tv_sec = found.tv_sec; now->tv_usec = found.tv_nsec / 1000; }
    return status;
}

time_t time(time_t *into) {
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found) != 0) return (time_t)-1;
    if (into) *into = found.tv_sec;
    return found.tv_sec;
}
