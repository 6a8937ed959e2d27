/* Makes every fsync fail as a broken disk does, as long as the file named by SYNC_FAULT exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static int sync_or_fail(const char *name, int file) {
  const char *fault = getenv("SYNC_FAULT");
  if (fault != NULL && access(fault, F_OK) == 0) {
    errno = EIO;
    return -1;
  }
  return ((sync_call)dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return sync_or_fail("fsync", file); }

int fdatasync(int file) { return sync_or_fail("fdatasync", file); }
