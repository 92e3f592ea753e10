/* Times whole processes: every command once per round, in turn, so that a noisy moment meets all of them.
   spawn ROUNDS INPUT NAME [VARIABLE=VALUE...] COMMAND [ARGUMENT...] [-- NAME ...]...
   INPUT is every command's standard input; variables are set for that command and every later one. Prints "median-in-ms <tab> name" for each; a command that fails ends it. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double run(char **command, posix_spawn_file_actions_t *actions)
{
    while (strchr(command[0], '=')) {
        putenv(*command++);
    }
    struct timespec start, end;
    pid_t child;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (posix_spawnp(&child, command[0], actions, 0, command, environ) != 0 || waitpid(child, &status, 0) < 0 || status != 0) {
        fprintf(stderr, "spawn: '%s' failed\n", command[0]);
        exit(1);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - start.tv_sec) * 1e3 + (end.tv_nsec - start.tv_nsec) / 1e6;
}

static int ascending(const void *one, const void *other)
{
    double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **arguments)
{
    enum { warmup = 3, most = 16 };
    char **commands[most];
    double *times[most];
    int known = 0;
    if (count < 5) {
        return 2;
    }
    int rounds = atoi(arguments[1]);
    for (int i = 3; i < count && known < most; i++) {
        commands[known] = arguments + i;
        times[known++] = malloc(sizeof(double) * (rounds + warmup));
        while (i < count && strcmp(arguments[i], "--") != 0) {
            i++;
        }
        if (i < count) {
            arguments[i] = 0;
        }
    }

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, arguments[2], O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    for (int round = 0; round < rounds + warmup; round++) {
        for (int i = 0; i < known; i++) {
            times[i][round] = run(commands[i] + 1, &actions);
        }
    }

    for (int i = 0; i < known; i++) {
        qsort(times[i] + warmup, rounds, sizeof(double), ascending);
        printf("%.3f\t%s\n", times[i][warmup + rounds / 2], commands[i][0]);
    }
    return 0;
}
