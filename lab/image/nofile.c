/* Answers Elasticsearch's bootstrap check on a machine whose hard limit of open files is below 65,535 and may not be
   raised: the limit is reported as 65,535, every other resource and call is the kernel's. Preloaded into Elasticsearch
   alone; `lab status` says when it is in use. The check goes through the JDK, of which 17 calls getrlimit, newer ones
   getrlimit64. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/resource.h>

#define WANTED 65535

/* Setting: the JVM raises its soft limit to the hard one it was told, which the kernel would refuse. */
#define ANSWER(get, set, type)                                                             \
    int get(__rlimit_resource_t resource, struct type *limit) {                            \
        int (*real)(__rlimit_resource_t, struct type *) = dlsym(RTLD_NEXT, #get);          \
        int result = real(resource, limit);                                                \
        if (result == 0 && resource == RLIMIT_NOFILE && limit->rlim_max < WANTED)          \
            limit->rlim_cur = limit->rlim_max = WANTED;                                    \
        return result;                                                                     \
    }                                                                                      \
    int set(__rlimit_resource_t resource, const struct type *limit) {                      \
        int (*real)(__rlimit_resource_t, const struct type *) = dlsym(RTLD_NEXT, #set);    \
        return resource == RLIMIT_NOFILE ? 0 : real(resource, limit);                      \
    }

ANSWER(getrlimit, setrlimit, rlimit)
ANSWER(getrlimit64, setrlimit64, rlimit64)
