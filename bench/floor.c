/*
 * The floor: what the kernel itself takes. Sends the netlink messages of a file, datagram by datagram, each when the one before is
 * acknowledged, then lists links, addresses, routes and rules, and prints the microseconds of both: "APPLY VERIFY".
 *
 * The file: for each datagram its length as a native 32-bit number, and its bytes. The last message of each asks for an acknowledgement.
 * What the kernel refuses, or leaves out, is an error: a floor that was not reached is none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char answer[1 << 20];

static void fail(const char *what, int error) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(error));
  exit(1);
}

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

/* Reads until the message of that sequence number is answered to its end. */
static void await(int fd, uint32_t sequence) {
  for (;;) {
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    if (got < 0) fail("recv", errno);
    int left = (int)got;
    for (struct nlmsghdr *message = (struct nlmsghdr *)answer; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_ERROR) {
        int error = -((struct nlmsgerr *)NLMSG_DATA(message))->error;
        if (error != 0) fail("a message", error);
      }
      int ends = message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE;
      if (ends && message->nlmsg_seq == sequence) return;
    }
  }
}

static uint32_t last_sequence(const char *datagram, uint32_t length) {
  uint32_t sequence = 0;
  int left = (int)length;
  for (const struct nlmsghdr *message = (const struct nlmsghdr *)datagram; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left))
    sequence = message->nlmsg_seq;
  return sequence;
}

static void dump(int fd, uint16_t type, unsigned char family, uint32_t sequence) {
  struct {
    struct nlmsghdr header;
    /* The largest of the four bodies; each begins with the family. */
    struct ifinfomsg body;
  } request = {
      .header = {.nlmsg_len = sizeof request, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = sequence},
      .body = {.ifi_family = family},
  };
  if (send(fd, &request, sizeof request, 0) < 0) fail("send", errno);
  await(fd, sequence);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: floor FILE\n");
    return 2;
  }
  int file = open(argv[1], O_RDONLY);
  struct stat info;
  if (file < 0 || fstat(file, &info) < 0) fail(argv[1], errno);
  char *bytes = malloc((size_t)info.st_size);
  if (bytes == NULL || read(file, bytes, (size_t)info.st_size) != info.st_size) fail(argv[1], EIO);

  int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (fd < 0) fail("socket", errno);
  int size = sizeof answer;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);

  double begun = now_us();
  for (char *at = bytes; at < bytes + info.st_size;) {
    uint32_t length;
    memcpy(&length, at, sizeof length);
    at += sizeof length;
    if (send(fd, at, length, 0) < 0) fail("send", errno);
    await(fd, last_sequence(at, length));
    at += length;
  }
  double applied = now_us();
  uint32_t sequence = 1U << 31;
  dump(fd, RTM_GETLINK, AF_UNSPEC, sequence++);
  for (int index = 0; index < 2; index += 1) {
    unsigned char family = index == 0 ? AF_INET : AF_INET6;
    dump(fd, RTM_GETADDR, family, sequence++);
    dump(fd, RTM_GETROUTE, family, sequence++);
    dump(fd, RTM_GETRULE, family, sequence++);
  }
  printf("%.1f %.1f\n", applied - begun, now_us() - applied);
  return 0;
}
