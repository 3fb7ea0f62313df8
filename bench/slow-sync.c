/*
 * To be preloaded (LD_PRELOAD): counts the fsyncs and fdatasyncs of a process, and makes each of them take longer, as
 * on a slower disk. The calling thread waits, after the real call.
 *
 *   SLOW_SYNC_COUNT         a file that holds the count, a native 64-bit integer, for others to read at any time
 *   SLOW_SYNC_MICROSECONDS  by how much each takes longer; nothing where it is not set
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t uncounted;
static _Atomic uint64_t *count = &uncounted;
static long microseconds;

__attribute__((constructor)) static void prepare(void) {
  const char *delay = getenv("SLOW_SYNC_MICROSECONDS");
  if (delay) microseconds = atol(delay);
  const char *path = getenv("SLOW_SYNC_COUNT");
  int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (file < 0) return;
  if (ftruncate(file, sizeof *count) == 0) {
    void *page = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) count = page;
  }
  close(file);
}

static int slowly(const char *name, int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  int result = real(file);
  int error = errno;
  atomic_fetch_add(count, 1);
  struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000};
  while (microseconds > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
    ;
  errno = error;
  return result;
}

int fsync(int file) { return slowly("fsync", file); }

int fdatasync(int file) { return slowly("fdatasync", file); }
