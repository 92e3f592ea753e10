/* What the caller gave this process and the runtime is about to change: `mallku run` hands it on to the command.
   The constructor runs before the runtime starts; nothing in managed code could be early enough. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

extern char **environ;

static sigset_t mask;
static unsigned char ignored[NSIG];
static struct rlimit core;

/* The next file that is opened would get the number of a closed standard stream, be it a source of random bytes or the
   vault, and would be read and written as that stream. What stands there instead is at its end, can't be written, and
   is closed again by execve. */
static void occupy_closed_streams(void)
{
    for (int number = 0; number <= 2; number++) {
        if (fcntl(number, F_GETFD) == -1 && errno == EBADF) {
            /* the lowest number that is free */
            (void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
        }
    }
}

__attribute__((constructor)) static void remember(void)
{
    occupy_closed_streams();
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
