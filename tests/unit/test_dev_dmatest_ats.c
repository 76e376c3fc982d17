/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dmatest's device-TLB, page requests and messages against docs/dmatest.md, on a bus whose pages come and go.
 */
#include "test_dev_bus.h"

#include <pthread.h>

#include "dev/dmatest_regs.h"

#define A (BUS_BASE + 0x10000)
#define B (BUS_BASE + 0x30000)
#define NPAGES (BUS_LEN / 4096)

/* One function at a time, so the rest of its bus lies beside it. */
static struct {
	bool present[NPAGES];	/* what dma_ats finds */
	enum { NEVER, INSIDE, STUBBORN } answer;
	unsigned int code;	/* of answers inside */
	unsigned int nreq, last_free, depth, max_depth, forgets, switches, translated;
	struct dev_page_request req[2048];
	struct dev_ats completion;
	unsigned int asked_access;
	unsigned int nmsg;
	uint64_t msg_addr[64];
	uint32_t msg_data[64];
	unsigned int stalls; /* so many messages more do */
	bool early;	     /* and that ends before the function hears of it */
} w;

static int w_dma_ats(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len, bool write, size_t *done)
{
	*done = 0;
	assert_true((addr & 4095) + len <= 4096);
	if (bus_outside(addr, len))
		return -EFAULT;
	if (!w.present[(addr - BUS_BASE) / 4096])
		return -ENOENT;
	*done = len;
	return write ? bus_write(opaque, pasid, addr, buf, len) : bus_read(opaque, pasid, addr, buf, len);
}

static void w_page_request(void *opaque, const struct dev_page_request *pr)
{
	struct bus *b = opaque;

	if (w.nreq < 2048)
		w.req[w.nreq] = *pr;
	w.nreq++;
	if (w.answer == NEVER)
		return;
	if (w.answer == INSIDE && w.code == 0)
		w.present[(pr->addr - BUS_BASE) / 4096] = true;
	if (++w.depth > w.max_depth)
		w.max_depth = w.depth;
	if (pr->last)
		dev_page_response(b->fn, pr->pasid, pr->prgi, w.code);
	w.depth--;
}

static void w_translate(void *opaque, uint32_t pasid, uint64_t addr, unsigned int access, struct dev_ats *out)
{
	(void)opaque, (void)pasid, (void)addr;
	w.asked_access = access;
	*out = w.completion;
}

static int w_translated(void *opaque, uint32_t pasid, uint64_t pa, void *buf, size_t len, bool write)
{
	w.translated++;
	return write ? bus_write(opaque, pasid, pa, buf, len) : bus_read(opaque, pasid, pa, buf, len);
}

static void w_forget(void *opaque)
{
	(void)opaque;
	w.forgets++;
}

static void w_switched(void *opaque)
{
	(void)dev_feature_enabled(((struct bus *)opaque)->fn, DEV_FEATURE_ATS); /* no lock is held */
	w.switches++;
}

static int w_msi(void *opaque, uint64_t addr, uint32_t data)
{
	(void)dev_intx_pending(((struct bus *)opaque)->fn); /* no lock of the function is held */
	assert_true(w.nmsg < 64);
	w.msg_addr[w.nmsg] = addr;
	w.msg_data[w.nmsg++] = data;
	if (!w.stalls)
		return 0;
	w.stalls--;
	if (w.early)
		dev_stall_done(((struct bus *)opaque)->fn, NB_NO_PASID, addr, false, DEV_STALL_RETRY);
	return -EAGAIN;
}

static const struct dev_bus more = {
	.msi = w_msi,
	.ats_translate = w_translate,
	.dma_translated = w_translated,
	.dma_ats = w_dma_ats,
	.page_request = w_page_request,
	.ats_forget = w_forget,
	.ats_switched = w_switched,
};

static struct bus *new_bus(const struct dev_option *opt, unsigned int n)
{
	struct bus *b;

	memset(&w, 0, sizeof(w));
	b = bus_new_with("dmatest", opt, n, &more);
	bus_turn_on(b);
	for (uint64_t i = 0; i < BUS_LEN; i++)
		b->mem[i] = (uint8_t)(i * 7 + (i >> 9));
	return b;
}

static int setup(void **state)
{
	struct bus *b = new_bus(NULL, 0);

	assert_int_equal(dev_feature_enable(b->fn, DEV_FEATURE_ATS, true, 12), 0);
	assert_int_equal(dev_feature_enable(b->fn, DEV_FEATURE_PRI, true, 32), 0);
	w32(b, DMATEST_CONTROL, DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI);
	*state = b;
	return 0;
}
static int teardown(void **state)
{
	bus_free(*state);
	return 0;
}

static void show(uint64_t addr, uint64_t len, bool on)
{
	for (uint64_t p = (addr - BUS_BASE) / 4096; p <= (addr + len - 1 - BUS_BASE) / 4096; p++)
		w.present[p] = on;
}

static uint32_t run(struct bus *b, uint32_t cmd, uint64_t src, uint64_t dst, uint64_t len)
{
	w64(b, DMATEST_SRC, src);
	w64(b, DMATEST_DST, dst);
	w64(b, DMATEST_LENGTH, len);
	w32(b, DMATEST_COMMAND, cmd);
	return r32(b, DMATEST_STATUS);
}

static void answer(struct bus *b, unsigned int i, unsigned int code)
{
	dev_page_response(b->fn, w.req[i].pasid, w.req[i].prgi, code);
}

/* Many pages, all missing, answered inside the request: the data is right and the stack does not grow. */
static void test_inside(void **state)
{
	struct bus *b = *state;
	uint64_t len = 300 * 4096 + 17;

	w.answer = INSIDE;
	assert_int_equal(run(b, DMATEST_CMD_COPY, A + 5, A + 0x400000, len), DMATEST_STATUS_DONE);
	assert_memory_equal(bus_at(b, A + 5), bus_at(b, A + 0x400000), len);
	assert_int_equal(r64(b, DMATEST_DONE), len);
	assert_int_equal(w.nreq, 301 + 301);
	assert_int_equal(w.max_depth, 1);
	assert_int_equal(r64(b, DMATEST_REQUESTS), 602);
	assert_int_equal(r64(b, DMATEST_RESPONSES), 602);
	assert_int_equal(r64(b, DMATEST_UNEXPECTED), 0);
	assert_int_equal(r64(b, DMATEST_ERROR_ADDR), 0);
	assert_int_equal(w.req[0].addr, A);
	assert_int_equal(w.req[0].access, DEV_READ);
	assert_true(w.req[0].last);
	assert_int_equal(w.req[1].addr, A + 0x400000);
	assert_int_equal(w.req[1].access, DEV_WRITE);
	assert_int_not_equal(w.req[0].prgi, w.req[1].prgi);
}

/* Answered later, from outside: waits, changes nothing, goes on, interrupts at the end and not before. */
static void test_later(void **state)
{
	struct bus *b = *state;
	uint32_t msix = cap_find(b, 0x11);

	cfg_w(b, msix + 2, 2, 0x8000);
	dev_bar_write(b->fn, 4, 0x20, 8, UINT64_C(0xfee01000));
	dev_bar_write(b->fn, 4, 0x28, 8, 0x41);
	w32(b, DMATEST_CONTROL,
	    DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI | DMATEST_CONTROL_INT_EN | 2 << 8);
	w32(b, DMATEST_PASID, DMATEST_PASID_EN | 0x77);
	show(A, 4096, true);
	show(B, 8192, true);
	assert_int_equal(run(b, DMATEST_CMD_COPY, A, B, 8192), DMATEST_STATUS_WAITING);
	assert_int_equal(w.nreq, 1);
	assert_int_equal(w.req[0].pasid, 0x77);
	assert_int_equal(r64(b, DMATEST_DONE), 4096);
	assert_int_equal(r64(b, DMATEST_ERROR_ADDR), A + 4096);
	assert_int_equal(r32(b, DMATEST_WAIT), DMATEST_WAIT_ON | w.req[0].prgi);
	assert_int_equal(w.nmsg, 0);
	/* Operands may change, another command is not taken, what is not ours does not help. */
	w64(b, DMATEST_LENGTH, 1);
	w32(b, DMATEST_CONTROL, 0);
	w32(b, DMATEST_COMMAND, DMATEST_CMD_NOP);
	assert_int_equal(r64(b, DMATEST_COUNT), 1);
	assert_int_equal(r32(b, DMATEST_COMMAND), DMATEST_CMD_COPY);
	dev_page_response(b->fn, 0x77, w.req[0].prgi + 1u, 0);
	dev_page_response(b->fn, 0x78, w.req[0].prgi, 0);
	dev_page_response(b->fn, NB_NO_PASID, w.req[0].prgi, 0);
	assert_int_equal(r64(b, DMATEST_UNEXPECTED), 3);
	assert_int_equal(cfg_r(b, ext_find(b, 0x13) + 6, 2), 0x8002);
	assert_int_equal(r32(b, DMATEST_STATUS), DMATEST_STATUS_WAITING);
	/* The page is still missing after the first answer. */
	answer(b, 0, 0);
	assert_int_equal(r32(b, DMATEST_STATUS), DMATEST_STATUS_WAITING);
	assert_int_equal(w.nreq, 2);
	assert_int_equal(w.req[1].addr, A + 4096);
	show(A, 8192, true);
	answer(b, 1, 0);
	assert_int_equal(r32(b, DMATEST_STATUS), DMATEST_STATUS_DONE);
	assert_int_equal(r32(b, DMATEST_WAIT), 0);
	assert_int_equal(r64(b, DMATEST_DONE), 8192);
	assert_memory_equal(bus_at(b, A), bus_at(b, B), 8192);
	assert_int_equal(w.nmsg, 1);
	assert_int_equal(w.msg_addr[0], 0xfee01000);
	assert_int_equal(w.msg_data[0], 0x41);
	assert_int_equal(r64(b, DMATEST_RESPONSE), DMATEST_RESPONSE_HAS_PASID | UINT64_C(0x77) << 32 | w.req[1].prgi);
	answer(b, 1, 0); /* twice */
	assert_int_equal(r64(b, DMATEST_UNEXPECTED), 4);
}

static void test_refused(void **state)
{
	struct bus *b = *state;
	uint32_t pri = ext_find(b, 0x13);

	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, B, 8), DMATEST_STATUS_WAITING);
	answer(b, 0, 1);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_INVALID);
	assert_int_equal(r64(b, DMATEST_ERROR_ADDR), B);
	w.answer = STUBBORN;
	w.code = 1;
	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, B + 12, 8), DMATEST_STATUS_ERROR);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_INVALID);
	assert_int_equal(r64(b, DMATEST_ERROR_ADDR), B + 12);
	/* Success that helps nothing, for either side of a copy in turn, ends. */
	w.code = 0;
	w.nreq = 0;
	show(A, 1, true);
	assert_int_equal(run(b, DMATEST_CMD_COPY, A, B, 8), DMATEST_STATUS_ERROR);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_RETRIES);
	assert_int_equal(w.nreq, DMATEST_MAX_RETRIES);
	/* A failure switches the interface off until it is reset. */
	w.code = 15;
	w.nreq = 0;
	run(b, DMATEST_CMD_FILL, 0, B, 8);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_FAILURE);
	assert_int_equal(cfg_r(b, pri + 6, 2), 0x8001);
	run(b, DMATEST_CMD_FILL, 0, B, 8);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_DST_DMA);
	assert_int_equal(w.nreq, 1);
	cfg_w(b, pri + 4, 2, 0);
	assert_int_equal(cfg_r(b, pri + 6, 2), 0x8101);
	cfg_w(b, pri + 4, 2, 3); /* reset and enable */
	assert_int_equal(cfg_r(b, pri + 4, 4), 0x80000001);
	w.code = 0;
	w.answer = INSIDE;
	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, B, 8), DMATEST_STATUS_DONE);
}

/* With the switches off: plain requests, or aborts without any page request. */
static void test_switches(void **state)
{
	struct bus *b = *state;

	w.answer = INSIDE;
	w32(b, DMATEST_CONTROL, DMATEST_CONTROL_ATS);
	run(b, DMATEST_CMD_FILL, 0, B + 3, 8);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_DST_DMA);
	assert_int_equal(r64(b, DMATEST_ERROR_ADDR), B + 3);
	w32(b, DMATEST_CONTROL, 0);
	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, B, 8), DMATEST_STATUS_DONE); /* not through the device-TLB */
	w32(b, DMATEST_CONTROL, DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI);
	dev_feature_enable(b->fn, DEV_FEATURE_PRI, false, 0);
	run(b, DMATEST_CMD_FILL, 0, B, 8);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_DST_DMA);
	assert_int_equal(w.nreq, 0);
	assert_int_equal(w.switches, 1);
	dev_feature_enable(b->fn, DEV_FEATURE_PRI, true, 0); /* none allowed */
	run(b, DMATEST_CMD_FILL, 0, B, 8);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_NO_GROUP);
	dev_feature_enable(b->fn, DEV_FEATURE_ATS, false, 0);
	assert_int_equal(w.switches, 2);
	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, B, 8), DMATEST_STATUS_DONE);
	w32(b, DMATEST_COMMAND, DMATEST_CMD_FORGET);
	assert_int_equal(w.forgets, 1);
	assert_int_equal(r32(b, DMATEST_ERROR), 0);
}

static void test_features(void **state)
{
	struct bus *b = *state, *n;
	const struct dev_option none[] = {{"ats", "off"}, {"pasid-bits", "8"}}, bad[] = {{"pasid-bits", "21"}};
	struct dev_caps c;
	struct nb_diag diag;

	dev_feature_enable(b->fn, DEV_FEATURE_ATS, true, 16);
	dev_feature_enable(b->fn, DEV_FEATURE_PASID, true, 0);
	assert_int_equal(r32(b, DMATEST_FEATURES), 0x3f | 4 << 8 | 20 << 16);
	assert_int_equal(cfg_r(b, ext_find(b, 0x0f) + 6, 2), 0x8004);
	assert_int_equal(cfg_r(b, ext_find(b, 0x1b) + 6, 2), 1);
	assert_int_equal(cfg_r(b, ext_find(b, 0x13) + 12, 4), 32);
	dev_reset(b->fn);
	bus_turn_on(b);
	assert_int_equal(r32(b, DMATEST_FEATURES), 0x15 | 20 << 16);
	assert_int_equal(w.switches, 2);
	assert_false(dev_feature_enabled(b->fn, DEV_FEATURE_PRI));
	n = new_bus(none, 2);
	dev_caps(n->fn, &c);
	assert_true(!c.ats && !c.pri && c.max_pasids == 256);
	assert_int_equal(r32(n, DMATEST_FEATURES), 0x10 | 8 << 16);
	assert_int_equal(ext_find(n, 0x13), 0);
	assert_int_equal(dev_feature_enable(n->fn, DEV_FEATURE_ATS, true, 12), -ENODEV);
	assert_int_equal(dev_feature_enable(n->fn, DEV_FEATURE_PRI, true, 12), -ENODEV);
	bus_free(n);
	assert_int_equal(dev_check_options(dev_model_find("dmatest"), bad, 1, &diag), -EINVAL);
}

static void test_abort_and_reset(void **state)
{
	struct bus *b = *state;

	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, B, 8), DMATEST_STATUS_WAITING);
	w32(b, DMATEST_COMMAND, DMATEST_CMD_ABORT);
	assert_int_equal(r32(b, DMATEST_STATUS), DMATEST_STATUS_ERROR);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_ABORTED);
	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, B, 8), DMATEST_STATUS_WAITING);
	assert_int_not_equal(w.req[0].prgi, w.req[1].prgi); /* the first is still out */
	answer(b, 0, 0);
	assert_int_equal(r64(b, DMATEST_RESPONSES), 1);
	assert_int_equal(r32(b, DMATEST_STATUS), DMATEST_STATUS_WAITING);
	dev_reset(b->fn);
	bus_turn_on(b);
	assert_int_equal(r32(b, DMATEST_STATUS), DMATEST_STATUS_IDLE);
	answer(b, 1, 0); /* late */
	assert_int_equal(r32(b, DMATEST_STATUS), DMATEST_STATUS_IDLE);
	assert_int_equal(r64(b, DMATEST_UNEXPECTED), 1);
	w32(b, DMATEST_COMMAND, DMATEST_CMD_ABORT); /* nothing waits: nothing happens */
	assert_int_equal(r32(b, DMATEST_STATUS), DMATEST_STATUS_IDLE);
	/* The interface is reset under a command that waits. */
	dev_feature_enable(b->fn, DEV_FEATURE_ATS, true, 12);
	dev_feature_enable(b->fn, DEV_FEATURE_PRI, true, 32);
	w32(b, DMATEST_CONTROL, DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI);
	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, B, 8), DMATEST_STATUS_WAITING);
	dev_feature_enable(b->fn, DEV_FEATURE_PRI, false, 0);
	assert_int_equal(r32(b, DMATEST_STATUS), DMATEST_STATUS_WAITING);
	dev_feature_enable(b->fn, DEV_FEATURE_PRI, true, 32);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_ABORTED);
}

static void test_raw_requests(void **state)
{
	struct bus *b = *state;

	w32(b, DMATEST_REQUEST, 509 | DMATEST_REQUEST_READ | DMATEST_REQUEST_PRIV | DMATEST_REQUEST_EACH);
	assert_int_equal(run(b, DMATEST_CMD_PAGE_REQUEST, A + 7, 0, 1000), DMATEST_STATUS_DONE);
	assert_int_equal(r64(b, DMATEST_DONE), 1000);
	assert_int_equal(w.nreq, 1000);
	assert_int_equal(w.req[5].prgi, 2);
	assert_int_equal(w.req[5].addr, A + 5 * 4096);
	assert_int_equal(w.req[5].access, DEV_READ | DEV_PRIV);
	assert_true(w.req[5].last);
	/* All are out: the engine itself finds none. */
	run(b, DMATEST_CMD_FILL, 0, B, 8);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_NO_GROUP);
	for (unsigned int i = 0; i < 512; i++)
		answer(b, i, 0);
	assert_int_equal(r64(b, DMATEST_RESPONSES), 512);
	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, B, 8), DMATEST_STATUS_WAITING);
	w32(b, DMATEST_COMMAND, DMATEST_CMD_ABORT);
	w.nreq = 0;
	w32(b, DMATEST_REQUEST, 3 | DMATEST_REQUEST_WRITE | DMATEST_REQUEST_LAST);
	run(b, DMATEST_CMD_PAGE_REQUEST, A, 0, 3);
	assert_int_equal(w.nreq, 3);
	assert_true(!w.req[0].last && !w.req[1].last && w.req[2].last);
	assert_true(w.req[0].prgi == 3 && w.req[2].prgi == 3);
	answer(b, 2, 0);
	w.nreq = 0;
	w32(b, DMATEST_REQUEST, 7 | DMATEST_REQUEST_LAST); /* a stop marker: an answer to it is a surprise */
	run(b, DMATEST_CMD_PAGE_REQUEST, A, 0, 1);
	assert_true(w.nreq == 1 && w.req[0].last && w.req[0].access == 0);
	assert_int_equal(r64(b, DMATEST_UNEXPECTED), 0);
	answer(b, 0, 0);
	assert_int_equal(r64(b, DMATEST_UNEXPECTED), 1);
	run(b, DMATEST_CMD_PAGE_REQUEST | DMATEST_CMD_DST_LOCAL, A, 0, 1);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_COMMAND);
	w.nreq = 3;
	run(b, DMATEST_CMD_PAGE_REQUEST, A, 0, DMATEST_MAX_REQUESTS + 1);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_LENGTH);
	assert_int_equal(w.nreq, 3);
}

static void test_translate(void **state)
{
	struct bus *b = *state;

	w32(b, DMATEST_REQUEST, DMATEST_REQUEST_READ | DMATEST_REQUEST_WRITE);
	w.completion = (struct dev_ats){.lg2 = 21, .perm = DEV_READ, .global = true, .pa = 0x40200000};
	assert_int_equal(run(b, DMATEST_CMD_TRANSLATE, A, 0, 0), DMATEST_STATUS_DONE);
	assert_int_equal(w.asked_access, DEV_READ | DEV_WRITE);
	assert_int_equal(r32(b, DMATEST_RESULT), 21 | DMATEST_RESULT_READ | DMATEST_RESULT_GLOBAL);
	assert_int_equal(r64(b, DMATEST_RESULT_ADDR), 0x40200000);
	w.completion = (struct dev_ats){.ur = true};
	assert_int_equal(run(b, DMATEST_CMD_TRANSLATE, A, 0, 0), DMATEST_STATUS_ERROR);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_ATS);
	assert_int_equal(r32(b, DMATEST_RESULT), DMATEST_RESULT_UR);
	/* Translated requests: any address, none through the device-TLB. */
	assert_int_equal(run(b, DMATEST_CMD_COPY | DMATEST_CMD_SRC_TRANSLATED | DMATEST_CMD_DST_TRANSLATED, A, B, 5000),
			 DMATEST_STATUS_DONE);
	assert_memory_equal(bus_at(b, A), bus_at(b, B), 5000);
	assert_int_equal(w.translated, 4);
	assert_int_equal(w.nreq, 0);
	run(b, DMATEST_CMD_COPY | DMATEST_CMD_SRC_TRANSLATED | DMATEST_CMD_SRC_LOCAL, A, B, 8);
	assert_int_equal(r32(b, DMATEST_ERROR), DMATEST_ERROR_COMMAND);
}

/* MSI: address and data as the capability says, vector in the low bits; a change of the message is not mixed. */
static void test_messages(void **state)
{
	struct bus *b = *state;
	uint32_t msi = cap_find(b, 5);

	assert_int_equal(dev_irq_message(b->fn, DEV_IRQ_MSI, 0, UINT64_C(0x1fee00018), 0x4321), 0);
	assert_int_equal(dev_irq_message(b->fn, DEV_IRQ_MSI, 1, 0, 0), -EINVAL);
	assert_int_equal(dev_irq_message(b->fn, DEV_IRQ_INTX, 0, 0, 0), -EINVAL);
	assert_int_equal(cfg_r(b, msi + 4, 4), 0xfee00018);
	assert_int_equal(cfg_r(b, msi + 8, 4), 1);
	dev_irq_enable(b->fn, DEV_IRQ_MSI, 4);
	w32(b, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | 2 << 8);
	w32(b, DMATEST_COMMAND, DMATEST_CMD_NOP);
	assert_int_equal(w.nmsg, 1);
	assert_int_equal(w.msg_addr[0], UINT64_C(0x1fee00018));
	assert_int_equal(w.msg_data[0], 0x4322);
	dev_irq_enable(b->fn, DEV_IRQ_MSI, 0);
	assert_int_equal(dev_irq_message(b->fn, DEV_IRQ_MSIX, 2, 0xfee0a000, 0x99), 0);
	assert_int_equal(dev_irq_message(b->fn, DEV_IRQ_MSIX, 4, 0xfee0a000, 0x99), -EINVAL);
	assert_int_equal(dev_bar_read(b->fn, 4, 0x20, 8), 0xfee0a000);
	dev_irq_enable(b->fn, DEV_IRQ_MSIX, 4);
	w32(b, DMATEST_COMMAND, DMATEST_CMD_NOP);
	assert_int_equal(w.nmsg, 2);
	assert_int_equal(w.msg_data[1], 0x99);
	assert_int_equal(b->msix[2] + b->msi[2], 0);
}

/* A message that stalls is sent again when it may be, as its vector is programmed then; and not when it may not. */
static void test_stalled_message(void **state)
{
	struct bus *b = *state;

	for (unsigned int v = 0; v < 4; v++)
		assert_int_equal(dev_irq_message(b->fn, DEV_IRQ_MSIX, v, 0x8000040 + 0x1000 * (v & 1), v), 0);
	dev_irq_enable(b->fn, DEV_IRQ_MSIX, 4);
	w.stalls = 3;
	for (unsigned int v = 0; v < 3; v++) {
		w32(b, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | v << 8);
		w32(b, DMATEST_COMMAND, DMATEST_CMD_NOP);
	}
	assert_int_equal(w.nmsg, 3);
	/* Others' stalls. */
	dev_stall_done(b->fn, NB_NO_PASID, 0x8002040, false, DEV_STALL_RETRY);
	dev_stall_done(b->fn, 5, 0x8000040, false, DEV_STALL_RETRY);
	assert_int_equal(w.nmsg, 3);
	dev_stall_done(b->fn, NB_NO_PASID, 0x8000040, false, DEV_STALL_RETRY);
	assert_int_equal(w.nmsg, 5);
	assert_true(w.msg_data[3] == 0 && w.msg_data[4] == 2 && w.msg_addr[4] == 0x8000040);
	dev_stall_done(b->fn, NB_NO_PASID, 0x8000040, false, DEV_STALL_RETRY); /* once */
	assert_int_equal(w.nmsg, 5);
	/* Programmed anew meanwhile. */
	assert_int_equal(dev_irq_message(b->fn, DEV_IRQ_MSIX, 1, 0x9000040, 7), 0);
	w.stalls = 1;
	dev_stall_done(b->fn, NB_NO_PASID, 0x8001040, false, DEV_STALL_RETRY);
	assert_true(w.nmsg == 6 && w.msg_addr[5] == 0x9000040 && w.msg_data[5] == 7);
	/* It stalled there too, and is aborted. */
	dev_stall_done(b->fn, NB_NO_PASID, 0x9000040, false, DEV_STALL_ABORT);
	dev_stall_done(b->fn, NB_NO_PASID, 0, true, DEV_STALL_RETRY);
	assert_int_equal(w.nmsg, 6);
	/* Told to try again before it knew that it waits. */
	w.stalls = 2;
	w.early = true;
	w32(b, DMATEST_COMMAND, DMATEST_CMD_NOP);
	assert_int_equal(w.nmsg, 9);
	w.early = false;
	/* Nothing outlives a reset or another owner. */
	w.stalls = 1;
	w32(b, DMATEST_COMMAND, DMATEST_CMD_NOP);
	dev_irq_enable(b->fn, DEV_IRQ_MSIX, 0);
	dev_irq_enable(b->fn, DEV_IRQ_MSIX, 4);
	w.stalls = 1;
	w32(b, DMATEST_COMMAND, DMATEST_CMD_NOP);
	dev_reset(b->fn);
	bus_turn_on(b);
	assert_int_equal(dev_irq_message(b->fn, DEV_IRQ_MSIX, 2, 0x8000040, 2), 0);
	dev_irq_enable(b->fn, DEV_IRQ_MSIX, 4);
	dev_stall_done(b->fn, NB_NO_PASID, 0, true, DEV_STALL_RETRY);
	assert_int_equal(w.nmsg, 11);
}

/* Answers, aborts and resets against commands, on four threads: no deadlock, no answer to somebody else's job. */
struct race {
	struct bus *b;
	_Atomic bool stop;
};

static void *answer_all(void *p)
{
	struct race *r = p;

	for (unsigned int i = 0; !r->stop; i++)
		dev_page_response(r->b->fn, NB_NO_PASID, i % 512, i % 5 == 0);
	return NULL;
}

static void *abort_all(void *p)
{
	struct race *r = p;

	for (unsigned int i = 0; !r->stop; i++) {
		w32(r->b, DMATEST_COMMAND, DMATEST_CMD_ABORT);
		if (i % 64 == 0) {
			dev_reset(r->b->fn);
			bus_turn_on(r->b);
			dev_feature_enable(r->b->fn, DEV_FEATURE_ATS, true, 12);
			dev_feature_enable(r->b->fn, DEV_FEATURE_PRI, true, 32);
			w32(r->b, DMATEST_CONTROL, DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI);
		}
	}
	return NULL;
}

static void drop_request(void *opaque, const struct dev_page_request *pr)
{
	(void)opaque, (void)pr;
}

static void nothing(void *opaque)
{
	(void)opaque;
}

static void test_race(void **state)
{
	struct dev_bus quiet = more;
	struct race r = {0};
	pthread_t t[2];

	(void)state;
	memset(&w, 0, sizeof(w));
	quiet.page_request = drop_request;
	quiet.ats_switched = nothing;
	r.b = bus_new_with("dmatest", NULL, 0, &quiet);
	bus_turn_on(r.b);
	pthread_create(&t[0], NULL, answer_all, &r);
	pthread_create(&t[1], NULL, abort_all, &r);
	for (unsigned int i = 0; i < 20000; i++) {
		w64(r.b, DMATEST_SRC, A);
		w64(r.b, DMATEST_DST, B);
		w64(r.b, DMATEST_LENGTH, 64);
		w32(r.b, DMATEST_COMMAND, i % 3 ? DMATEST_CMD_COPY : DMATEST_CMD_PAGE_REQUEST);
	}
	r.stop = true;
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	w32(r.b, DMATEST_COMMAND, DMATEST_CMD_ABORT);
	w32(r.b, DMATEST_COMMAND, DMATEST_CMD_NOP);
	assert_int_equal(r32(r.b, DMATEST_STATUS), DMATEST_STATUS_DONE);
	bus_free(r.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_switches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_features, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abort_and_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_raw_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_translate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stalled_message, setup, teardown),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
