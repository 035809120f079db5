/*
 * ask-names [-4|-6|-r] NAME…: resolves each name (with -r: address) by the C library's own resolver; dns.test.ts
 * compiles it with musl, statically, and runs it in containers that have nothing else.
 * A line for each: the name, whole milliseconds, then the answers joined by commas or `!` and the library's error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static long now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static int forward(const char *name, int family, char *text, size_t size) {
  struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *list;
  int error = getaddrinfo(name, NULL, &hints, &list);
  if (error != 0) return error;
  for (struct addrinfo *each = list; each != NULL; each = each->ai_next) {
    char one[64];
    error = getnameinfo(each->ai_addr, each->ai_addrlen, one, sizeof one, NULL, 0, NI_NUMERICHOST);
    if (error != 0) break;
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used > 0 ? "," : "", one);
  }
  freeaddrinfo(list);
  return error;
}

static int reverse(const char *address, char *text, size_t size) {
  struct sockaddr_in of = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, address, &of.sin_addr) != 1) return EAI_NONAME;
  return getnameinfo((struct sockaddr *)&of, sizeof of, text, size, NULL, 0, NI_NAMEREQD);
}

int main(int count, char **words) {
  int family = AF_UNSPEC, backwards = 0, first = 1;
  for (; first < count && words[first][0] == '-'; first++) {
    if (strcmp(words[first], "-4") == 0) family = AF_INET;
    if (strcmp(words[first], "-6") == 0) family = AF_INET6;
    if (strcmp(words[first], "-r") == 0) backwards = 1;
  }
  for (int i = first; i < count; i++) {
    char text[8192] = "";
    long begin = now();
    int error = backwards ? reverse(words[i], text, sizeof text) : forward(words[i], family, text, sizeof text);
    printf("%s %ld %s%s\n", words[i], now() - begin, error != 0 ? "!" : "", error != 0 ? gai_strerror(error) : text);
  }
  return 0;
}
