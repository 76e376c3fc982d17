/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net: an emulated virtio-net beside the assigned disk. Pings QEMU's user-mode gateway `count` (20) times while
 * verified load runs on the first disk.
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "guest.h"

#define GUEST_ADDRESS   "10.0.2.15"
#define GUEST_NETMASK   "255.255.255.0"
#define GATEWAY_ADDRESS "10.0.2.2"
#define PAYLOAD         1024u

struct ping {
	struct icmphdr header;
	unsigned char payload[PAYLOAD];
};

static int find_interface(char *name)
{
	struct dirent *entry;
	DIR *dir = opendir("/sys/class/net");
	int found = 0;

	while (dir && !found && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lo") != 0) {
			snprintf(name, IFNAMSIZ, "%.15s", entry->d_name);
			found = 1;
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

static void set_address(int sock, struct ifreq *ifr, unsigned long request, const char *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	inet_pton(AF_INET, address, &in.sin_addr);
	memcpy(&ifr->ifr_addr, &in, sizeof(in));
	if (ioctl(sock, request, ifr) < 0)
		fail("%s: setting %s: %s", ifr->ifr_name, address, strerror(errno));
}

static void interface_up(void)
{
	struct ifreq ifr = {0};
	double limit = now() + 10;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	while (!find_interface(ifr.ifr_name)) {
		if (now() > limit)
			fail("no network interface");
		sleep_ms(10);
	}
	set_address(sock, &ifr, SIOCSIFADDR, GUEST_ADDRESS);
	set_address(sock, &ifr, SIOCSIFNETMASK, GUEST_NETMASK);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		fail("%s: up: %s", ifr.ifr_name, strerror(errno));
	close(sock);
}

/* RFC 1071 */
static uint16_t internet_checksum(const void *data, size_t size)
{
	const unsigned char *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i += 2)
		sum += (uint32_t)(p[i] | p[i + 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void send_ping(int sock, uint16_t sequence)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct ping ping = {.header = {.type = ICMP_ECHO}};

	ping.header.un.echo.sequence = htons(sequence);
	pattern_fill(ping.payload, PAYLOAD, sequence);
	ping.header.checksum = internet_checksum(&ping, sizeof(ping));
	inet_pton(AF_INET, GATEWAY_ADDRESS, &to.sin_addr);
	if (sendto(sock, &ping, sizeof(ping), 0, (struct sockaddr *)&to, sizeof(to)) != sizeof(ping))
		fail("sending a ping: %s", strerror(errno));
}

/* Other ICMP traffic and late answers are passed over until the socket's timeout. */
static int receive_pong(int sock, uint16_t sequence)
{
	unsigned char packet[2048], want[PAYLOAD];
	ssize_t n;

	pattern_fill(want, PAYLOAD, sequence);
	while ((n = recv(sock, packet, sizeof(packet), 0)) > 0) {
		size_t ip = (size_t)(packet[0] & 15) * 4;
		struct ping pong;

		if ((size_t)n != ip + sizeof(pong))
			continue;
		memcpy(&pong, packet + ip, sizeof(pong));
		if (pong.header.type == ICMP_ECHOREPLY && pong.header.un.echo.sequence == htons(sequence))
			return memcmp(pong.payload, want, PAYLOAD) == 0;
	}
	return 0;
}

void scenario_net(void)
{
	unsigned int count = param_uint("count", 20), replies = 0;
	struct timeval timeout = {.tv_sec = 2};
	struct disk disks[DISKS_MAX];
	struct load_stats stats;
	struct load *load;
	int sock;

	module_load("virtio_net");
	interface_up();
	disks_wait(disks, 1);
	load = load_start(&disks[0], 1, 1);

	sock = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		fail("raw socket: %s", strerror(errno));
	for (unsigned int i = 0; i < count; i++) {
		send_ping(sock, (uint16_t)i);
		replies += (unsigned int)receive_pong(sock, (uint16_t)i);
		sleep_ms(20);
	}
	close(sock);

	load_stop(load, &stats);
	report("ping_replies", "%u of %u", replies, count);
	report("load_stats", "%s ops=%" PRIu64 " bytes=%" PRIu64 " errors=%" PRIu64, disks[0].pci, stats.ops,
	       stats.bytes, stats.errors);
	report("checksum_ok", "%d", stats.errors == 0);
	if (replies != count)
		fail("%u of %u pings were answered", replies, count);
	if (stats.errors || stats.ops == 0)
		fail("%" PRIu64 " errors in %" PRIu64 " operations", stats.errors, stats.ops);
}
