/*
 * pause holds a pod's namespaces open: it waits, reaps what it inherits, and
 * goes when it is told to. In C, because a Go program would keep a megabyte
 * resident in every pod.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define VERSION "3.10.2"

static void leave(int number)
{
	(void)number;
	_exit(0);
}

static void reap(int number)
{
	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(int argc, char **argv)
{
	struct sigaction on_leave = {.sa_handler = leave};
	struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};

	if (argc > 1 && (!strcmp(argv[1], "-v") || !strcmp(argv[1], "--version"))) {
		puts("pause " VERSION);
		return 0;
	}

	if (sigaction(SIGINT, &on_leave, NULL) || sigaction(SIGTERM, &on_leave, NULL) ||
	    sigaction(SIGCHLD, &on_child, NULL))
		return 1;

	for (;;)
		pause();
}
