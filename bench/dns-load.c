/*
 * dns-load SERVER NAME rate SECONDS IN_FLIGHT    answers a second, with so many queries under way at all times
 * dns-load SERVER NAME latency SECONDS QPS       {"median","p99","lost"}: microseconds at a steady rate, after a second of it
 * dns-load SERVER NAME serve                    answers itself, with one fixed address: the floor this machine has
 * Asks for NAME's A record from one UDP socket. In C, so that the load is never the limit. Latency runs from send(2) to
 * the arrival in the socket as the kernel saw it (SO_TIMESTAMPNS): how late this program is woken does not count.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define LOST_NS 1000000000LL

static int fd;
static unsigned char query[300];
static int queryLength;
static long long sentAt[65536];
static unsigned char buffers[BATCH][600], controls[BATCH][64];
static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void ask(unsigned id) {
  query[0] = id >> 8;
  query[1] = id & 255;
  sentAt[id] = now();
  if (send(fd, query, queryLength, 0) < 0) die("send");
}

/* Takes what has arrived, at most a batch; every answer has to hold an address. */
static int receive(unsigned *ids, long long *arrived) {
  for (int i = 0; i < BATCH; i++) {
    vectors[i] = (struct iovec){buffers[i], sizeof buffers[i]};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = controls[i],
                                          .msg_controllen = sizeof controls[i]};
  }
  int count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
  for (int i = 0; i < count; i++) {
    unsigned char *b = buffers[i];
    if (messages[i].msg_len < 12 || (b[3] & 15) || !(b[6] << 8 | b[7])) {
      fprintf(stderr, "an answer without an address\n");
      exit(1);
    }
    ids[i] = b[0] << 8 | b[1];
    struct cmsghdr *c = CMSG_FIRSTHDR(&messages[i].msg_hdr);
    struct timespec t;
    if (!c) die("no timestamp");
    memcpy(&t, CMSG_DATA(c), sizeof t);
    arrived[i] = t.tv_sec * 1000000000LL + t.tv_nsec;
  }
  return count < 0 ? 0 : count;
}

static void waitUntil(long long until) {
  long long left = until - now();
  if (left < 0) left = 0;
  struct pollfd p = {fd, POLLIN, 0};
  struct timespec t = {left / 1000000000LL, left % 1000000000LL};
  ppoll(&p, 1, &t, NULL);
}

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* The same bytes for every question, without looking at it: no name service can be faster here. */
static void serve(struct sockaddr_in at) {
  if (bind(fd, (struct sockaddr *)&at, sizeof at)) die("bind");
  puts("SERVING");
  fflush(stdout);
  for (;;) {
    unsigned char b[600];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    int length = recvfrom(fd, b, sizeof b - 16, 0, (struct sockaddr *)&from, &size);
    if (length < 12) continue;
    b[2] |= 0x80;
    b[7] = 1;
    memcpy(b + length, "\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xc0\0\2\1", 16);
    sendto(fd, b, length + 16, 0, (struct sockaddr *)&from, size);
  }
}

int main(int argc, char **argv) {
  if (argc != 6 && argc != 4) return 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
  if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) return 2;
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (argc == 4) serve(to);
  int one = 1, large = 8 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large);
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
  if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
  prctl(PR_SET_TIMERSLACK, 1);

  memcpy(query, "\0\0\1\0\0\1\0\0\0\0\0\0", 12);
  size_t length = strlen(argv[2]);
  query[12] = length;
  memcpy(query + 13, argv[2], length);
  memcpy(query + 13 + length, "\0\0\1\0\1", 5);
  queryLength = 18 + length;

  double seconds = atof(argv[4]);
  int number = atoi(argv[5]);
  long long begin = now(), end = begin + (long long)(seconds * 1e9), arrived[BATCH];
  unsigned ids[BATCH];

  if (!strcmp(argv[3], "rate")) {
    long answers = 0;
    for (int i = 0; i < number; i++) ask(i);
    while (now() < end) {
      waitUntil(now() + 100000000);
      int count = receive(ids, arrived);
      answers += count;
      for (int i = 0; i < count; i++) ask(ids[i]);
      if (!count)
        for (int i = 0; i < number; i++)
          if (now() - sentAt[i] > LOST_NS) ask(i);
    }
    printf("%.0f\n", answers / seconds);
    return 0;
  }

  /* The first second warms up: what is measured is a steady load, not its beginning. */
  end += 1000000000LL;
  long total = (long)((seconds + 1) * number), sent = 0, got = 0, answered = 0;
  long long first = begin + 1000000000LL;
  float *times = malloc(total * sizeof *times);
  while (answered < total && now() < end + LOST_NS) {
    while (sent < total && now() >= begin + sent * 1000000000LL / number) ask(sent++ & 0xffff);
    waitUntil(sent < total ? begin + sent * 1000000000LL / number : end + LOST_NS);
    int count = receive(ids, arrived);
    answered += count;
    for (int i = 0; i < count; i++)
      if (sentAt[ids[i]] >= first) times[got++] = (arrived[i] - sentAt[ids[i]]) / 1e3;
  }
  qsort(times, got, sizeof *times, ascending);
  if (!got) return 1;
  printf("{\"median\":%.1f,\"p99\":%.1f,\"lost\":%ld}\n", times[got / 2], times[(long)(got * 0.99)],
         total - answered);
  return 0;
}
