/* What the caller gave this process and the runtime is about to change: `mallku run` hands it on to the command.
   The constructor runs before the runtime starts; nothing in managed code could be early enough. */

#include <signal.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

extern char **environ;

static sigset_t mask;
static unsigned char ignored[NSIG];
static struct rlimit core;

__attribute__((constructor)) static void remember(void)
{
    sigprocmask(SIG_SETMASK, 0, &mask);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        ignored[number] = sigaction(number, 0, &action) == 0 && action.sa_handler == SIG_IGN;
    }

    /* a core dump would write every secret to disk; the soft limit alone, so that it can be given back */
    if (getrlimit(RLIMIT_CORE, &core) == 0) {
        struct rlimit none = {0, core.rlim_max};
        setrlimit(RLIMIT_CORE, &none);
    }
#ifdef __linux__
    /* and neither a debugger nor /proc/PID/mem of the same user reads this memory; execve sets it back by itself */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void mallku_restore_inherited(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, 0, &action) == 0) {
            action.sa_handler = ignored[number] ? SIG_IGN : SIG_DFL;
            action.sa_flags = 0;
            sigaction(number, &action, 0);
        }
    }

    setrlimit(RLIMIT_CORE, &core);
    sigprocmask(SIG_SETMASK, &mask, 0);
}

char **mallku_environment(void)
{
    return environ;
}
