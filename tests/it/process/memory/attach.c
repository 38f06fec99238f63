/* Tries to look into the memory of a process, by every way that the system has for one's own processes. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

int main(int count, char **arguments)
{
    static const char *const files[] = {"mem", "maps", "environ"};
    char path[64];

    if (count != 2)
        return 2;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", atoi(arguments[1]), files[i]);
        printf("%s: %s\n", files[i], open(path, O_RDONLY) >= 0 ? "open" : strerror(errno));
    }
    printf("ptrace: %s\n",
           ptrace(PTRACE_SEIZE, atoi(arguments[1]), NULL, NULL) == 0 ? "attached" : strerror(errno));
    return 0;
}
