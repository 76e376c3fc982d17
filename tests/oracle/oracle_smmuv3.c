/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3: our model and QEMU's arm-smmuv3 run over the structures of a case (oracle_smmuv3_build.c).
 *
 * Each case has a stream table of its own: SMMUEN off, STRTAB_BASE, SMMUEN on, then CFGI_ALL and TLBI_NSNH_ALL, so that a batch
 * of cases needs one round trip. Event records stay in the guest's memory; only EVENTQ_PROD is read after each access.
 *
 * Devices: iommu-testdev (writes 4 bytes at once, and tells whether they landed where we say) at 00:03.0 and, behind a port,
 * at 01:00.0; edu at 00:04.0 reads, and writes back what it read next to it.
 */
#include "oracle_smmuv3_mem.h"

#include "hw/smmuv3/smmu.h"

#define REGS_BOARD UINT64_C(0x09050000) /* iommu=smmuv3 */
#define REGS_ADDED UINT64_C(0x0c000000) /* -device arm-smmuv3 */
#define ECAM	  UINT64_C(0x4010000000)
#define BAR_NEAR  UINT64_C(0x10000000)
#define BAR_FAR	  UINT64_C(0x10100000)
#define BAR_EDU	  UINT64_C(0x10200000)
#define PORT	  0x10
#define MAGIC	  0x12345678u /* what iommu-testdev writes */
#define EDU_BUF	  UINT64_C(0x40000)
#define EDU_TIMER UINT64_C(100000001)
#define BACK	  UINT64_C(0x800) /* edu writes back so far from where it read */
#define QUEUES	  ((uint32_t)(SMMU_CR0_CMDQEN | SMMU_CR0_EVENTQEN))
#define NOTHING	  UINT64_MAX /* a read's place: cannot be told */

static const uint16_t rids[DEV_COUNT] = {0x18, 0x100, 0x20, 0x20};

uint16_t smmu_rid(const struct oracle_case *c)
{
	return rids[c->f[F_DEV] % DEV_COUNT];
}

/* ---- setting up ---- */

static void reg(struct oracle *o, unsigned int size, uint64_t off, uint64_t v)
{
	o->hw->ops->mmio_write(o->hw, off, size, v);
}

static uint32_t get(struct oracle *o, uint64_t off)
{
	return (uint32_t)o->hw->ops->mmio_read(o->hw, off, 4);
}

static void qreg(struct oracle *o, unsigned int size, uint64_t off, uint64_t v)
{
	qtest_write(o->q, size, o->vend[V_REGS] + off, v);
}

static size_t qget(struct oracle *o, uint64_t off)
{
	return qtest_read(o->q, 4, o->vend[V_REGS] + off);
}

static int start(struct oracle *o, struct nb_diag *diag)
{
	uint64_t port = ECAM + (PORT << 12);
	struct smmu_idregs id = {0};
	struct smmu_caps caps;
	size_t at;
	int err;

	o->vend[V_REGS] = o->unit->flags & (U_S1 | U_S2) ? REGS_ADDED : REGS_BOARD;
	qtest_write(o->q, 4, port + 0x18, 0x00010100); /* bus 1 is behind it, */
	qtest_write(o->q, 4, port + 0x20, 0x10101010); /* and memory of 1 MiB */
	qtest_write(o->q, 4, port + 0x04, 6);
	qtest_ecam_enable(o->q, ECAM + (rids[DEV_WRITE] << 12), (uint32_t)BAR_NEAR);
	qtest_ecam_enable(o->q, ECAM + (rids[DEV_WRITE_FAR] << 12), (uint32_t)BAR_FAR);
	qtest_ecam_enable(o->q, ECAM + (rids[DEV_READ] << 12), (uint32_t)BAR_EDU);
	qtest_write(o->q, 4, BAR_NEAR + 0x0c, 4);
	qtest_write(o->q, 4, BAR_NEAR + 0x18, 2);
	qtest_write(o->q, 4, BAR_FAR + 0x0c, 4);
	qtest_write(o->q, 4, BAR_FAR + 0x18, 2);
	at = qget(o, SMMU_REG_IDR0);
	(void)qget(o, SMMU_REG_IDR1);
	(void)qget(o, SMMU_REG_IDR3);
	(void)qget(o, SMMU_REG_IDR5);
	(void)qget(o, SMMU_REG_AIDR);
	qreg(o, 8, SMMU_REG_CMDQ_BASE, RING | RING_LG2);
	qreg(o, 8, SMMU_REG_EVENTQ_BASE, EVENTS | EVENTS_LG2);
	qreg(o, 4, SMMU_REG_CR0, QUEUES);
	err = qtest_flush(o->q, diag);
	if (err)
		return err;
	id.idr0 = (uint32_t)qtest_answer(o->q, at);
	id.idr1 = (uint32_t)qtest_answer(o->q, at + 1);
	id.idr3 = (uint32_t)qtest_answer(o->q, at + 2);
	id.idr5 = (uint32_t)qtest_answer(o->q, at + 3);
	id.aidr = (uint32_t)qtest_answer(o->q, at + 4);
	qtest_ram_clear(o->q); /* the board has put a device tree there */
	smmu_caps_from_regs(&id, &caps);
	if (caps.oas != SMMU_ORACLE_OAS)
		return nb_fail(diag, -EPROTO, "this QEMU has output addresses of %u bits, not of %u", caps.oas, SMMU_ORACLE_OAS);
	err = smmu_create(&caps, &o->mem, NULL, &o->hw, diag);
	if (err)
		return err;
	reg(o, 8, SMMU_REG_CMDQ_BASE, RING | RING_LG2);
	reg(o, 8, SMMU_REG_EVENTQ_BASE, EVENTS | EVENTS_LG2);
	reg(o, 4, SMMU_REG_CR0, QUEUES);
	return 0;
}

/* ---- our side ---- */

/* What lies at the target before a read: unlike any other. */
static uint32_t datum(const struct oracle_built *b)
{
	return 0xa5000000u | b->slot << 12 | ((unsigned int)b->iova & 0xfff);
}

static void record_of(struct oracle *o, const uint8_t *ram, uint64_t index, struct oracle_step *s)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		s->record[i] = oracle_get64(o, ram, EVENTS + (index & (BIT(EVENTS_LG2) - 1)) * 32 + 8 * i);
	s->outcome = ORACLE_FAULT;
	s->reason = (uint16_t)FIELD_GET(SMMU_EVT_0_ID, s->record[0]);
}

static void our_step(struct oracle *o, struct oracle_built *b, uint16_t rid, uint64_t iova, bool write, uint32_t value)
{
	struct hw_request req = {.addr = iova, .pasid = NB_NO_PASID, .rid = rid, .access = write ? HW_WRITE : HW_READ};
	struct oracle_step *s = &b->ours.step[b->ours.n++];
	uint32_t before = get(o, SMMU_REG_EVENTQ_PROD);
	struct hw_result res;

	hw_translate(o->hw, &req, &res);
	if (get(o, SMMU_REG_EVENTQ_PROD) != before) {
		record_of(o, o->ours, before, s);
		reg(o, 4, SMMU_REG_EVENTQ_CONS, get(o, SMMU_REG_EVENTQ_PROD));
		return;
	}
	if (res.kind == HW_FAULT) {
		s->reason = res.fault.reason;
		s->silent = true;
		s->outcome = write ? ORACLE_NOTHING : ORACLE_UNSEEN;
		return;
	}
	s->pa = res.pa.v;
	if (smmu_outside(s->pa) || smmu_taken(s->pa)) {
		b->skip = true;
		return;
	}
	if (!write) {
		s->outcome = ORACLE_UNSEEN;
		(void)mem_store32(&o->mem, res.pa, datum(b));
		(void)hw_dma_read(o->hw, rid, NB_NO_PASID, iova, &value, 4);
	} else if (hw_dma_write(o->hw, rid, NB_NO_PASID, iova, &value, 4) == 0) {
		s->outcome = ORACLE_LANDED;
	}
}

/* What CONS and GERROR say after a command that may be illegal, as a step. ERR means something while the error is active. */
static void command_step(struct oracle_step *s, uint64_t cons, uint64_t gerror)
{
	s->outcome = gerror ? ORACLE_FAULT : ORACLE_LANDED;
	if (!gerror)
		return;
	s->record[0] = FIELD_GET(SMMU_CMDQ_CONS_ERR, cons);
	s->record[1] = gerror;
	s->record[2] = cons & SMMU_Q_IDX;
	s->reason = (uint16_t)(0xc0 | s->record[0]);
}

static void our_command(struct oracle *o, struct oracle_built *b)
{
	struct oracle_step *s = &b->ours.step[b->ours.n++];

	reg(o, 4, SMMU_REG_CMDQ_PROD, b->vend[B_CMD_TAIL] & SMMU_Q_IDX);
	command_step(s, get(o, SMMU_REG_CMDQ_CONS), get(o, SMMU_REG_GERROR) ^ get(o, SMMU_REG_GERRORN));
	if (s->outcome != ORACLE_FAULT)
		return;
	/* Software's way on: another command in its place, the error acknowledged (7.1). */
	(void)mem_store64(&o->mem, hpa(b->vend[B_CMD_PA]), SMMU_CMD_SYNC);
	reg(o, 4, SMMU_REG_GERRORN, get(o, SMMU_REG_GERROR));
}

static void ours(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	uint16_t rid = smmu_rid(c);
	bool write = smmu_writes(c);
	struct oracle_step *last;

	reg(o, 4, SMMU_REG_CR0, QUEUES);
	reg(o, 4, SMMU_REG_CR2, c->f[F_RECINV] ? SMMU_CR2_RECINVSID : 0);
	reg(o, 4, SMMU_REG_GBPA, SMMU_GBPA_UPDATE | (c->f[F_GBPA] ? SMMU_GBPA_ABORT : 0));
	reg(o, 8, SMMU_REG_STRTAB_BASE, b->vend[B_STRTAB]);
	reg(o, 4, SMMU_REG_STRTAB_BASE_CFG, b->vend[B_STRTAB_CFG]);
	reg(o, 4, SMMU_REG_CR0, QUEUES | (c->f[F_EN] ? (uint32_t)SMMU_CR0_SMMUEN : 0));
	if (b->vend[B_CMD_TAIL])
		our_command(o, b);
	reg(o, 4, SMMU_REG_CMDQ_PROD, b->vend[B_TAIL]);
	our_step(o, b, rid, b->iova, write, MAGIC);
	last = &b->ours.step[b->ours.n - 1];
	if (!write) {
		/* What was not read cannot be told from what was there before. */
		if (c->f[F_DEV] == DEV_READ_WRITE && !b->skip && last->outcome == ORACLE_UNSEEN && !last->silent)
			our_step(o, b, rid, b->iova ^ BACK, true, datum(b));
	} else if (b->vend[B_AGAIN_TAIL]) {
		/* The queue moves on in any case. */
		(void)mem_store64(&o->mem, hpa(b->vend[B_LEAF_PA]), b->vend[B_LEAF]);
		reg(o, 4, SMMU_REG_CMDQ_PROD, b->vend[B_AGAIN_TAIL] & SMMU_Q_IDX);
		if (last->outcome == ORACLE_LANDED)
			our_step(o, b, rid, b->iova, true, MAGIC);
	}
}

/* ---- QEMU's side ---- */

static void ask_edu(struct oracle *o, uint64_t from, uint64_t to, uint64_t command)
{
	qtest_write(o->q, 8, BAR_EDU + 0x80, from);
	qtest_write(o->q, 8, BAR_EDU + 0x88, to);
	qtest_write(o->q, 8, BAR_EDU + 0x90, 4);
	qtest_write(o->q, 8, BAR_EDU + 0x98, command);
	qtest_clock_step(o->q, EDU_TIMER);
}

/* Index of the result; EVENTQ_PROD follows. */
static size_t ask_testdev(struct oracle *o, uint64_t bar, uint64_t iova, uint64_t pa)
{
	size_t at;

	qtest_write(o->q, 4, bar + 0x04, iova & 0xffffffff);
	qtest_write(o->q, 4, bar + 0x08, iova >> 32);
	qtest_write(o->q, 4, bar + 0x1c, pa & 0xffffffff);
	qtest_write(o->q, 4, bar + 0x20, pa >> 32);
	qtest_write(o->q, 4, bar + 0x14, 1);
	qtest_read(o->q, 4, bar);
	at = qtest_read(o->q, 4, bar + 0x10);
	(void)qget(o, SMMU_REG_EVENTQ_PROD);
	return at;
}

static void ask(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	uint64_t bar = c->f[F_DEV] == DEV_WRITE ? BAR_NEAR : BAR_FAR, cr2 = c->f[F_RECINV] ? SMMU_CR2_RECINVSID : 0;
	unsigned int first = b->vend[B_CMD_TAIL] ? 1 : 0;
	uint64_t pa = b->ours.step[first].pa ? b->ours.step[first].pa : b->target;

	if (b->slot == 0) {
		qreg(o, 4, SMMU_REG_EVENTQ_CONS, o->vend[V_EVENT]);
		o->vend[V_COMMANDS] = 0;
	}
	qreg(o, 4, SMMU_REG_CR0, QUEUES);
	if (cr2 != o->vend[V_CR2])
		qreg(o, 4, SMMU_REG_CR2, cr2);
	o->vend[V_CR2] = cr2;
	if (c->f[F_GBPA] != o->vend[V_GBPA])
		qreg(o, 4, SMMU_REG_GBPA, SMMU_GBPA_UPDATE | (c->f[F_GBPA] ? SMMU_GBPA_ABORT : 0));
	o->vend[V_GBPA] = c->f[F_GBPA];
	qreg(o, 8, SMMU_REG_STRTAB_BASE, b->vend[B_STRTAB]);
	qreg(o, 4, SMMU_REG_STRTAB_BASE_CFG, b->vend[B_STRTAB_CFG]);
	qreg(o, 4, SMMU_REG_CR0, QUEUES | (c->f[F_EN] ? (uint32_t)SMMU_CR0_SMMUEN : 0));
	if (first) {
		qreg(o, 4, SMMU_REG_CMDQ_PROD, b->vend[B_CMD_TAIL] & SMMU_Q_IDX);
		b->vend[B_AT_CMD] = qget(o, SMMU_REG_CMDQ_CONS);
		(void)qget(o, SMMU_REG_GERROR);
		(void)qget(o, SMMU_REG_GERRORN);
		if (b->ours.step[0].outcome == ORACLE_FAULT) {
			qtest_write(o->q, 8, b->vend[B_CMD_PA], SMMU_CMD_SYNC);
			o->vend[V_GERRORN] ^= SMMU_GERROR_CMDQ_ERR;
			qreg(o, 4, SMMU_REG_GERRORN, o->vend[V_GERRORN]);
		}
		o->vend[V_COMMANDS]++;
	}
	qreg(o, 4, SMMU_REG_CMDQ_PROD, b->vend[B_TAIL]);
	if (smmu_writes(c)) {
		if (!b->skip)
			b->at = ask_testdev(o, bar, b->iova, pa);
		if (b->vend[B_AGAIN_TAIL]) {
			qtest_write(o->q, 8, b->vend[B_LEAF_PA], b->vend[B_LEAF]);
			qreg(o, 4, SMMU_REG_CMDQ_PROD, b->vend[B_AGAIN_TAIL] & SMMU_Q_IDX);
		}
		if (!b->skip && b->ours.n == first + 2)
			b->at2 = ask_testdev(o, bar, b->iova, b->ours.step[first + 1].pa ? b->ours.step[first + 1].pa : b->target);
	} else if (!b->skip) {
		if (pa - RAM < ORACLE_RAM)
			qtest_write(o->q, 4, pa, datum(b));
		ask_edu(o, b->iova, EDU_BUF, 1);
		b->at = qget(o, SMMU_REG_CR0);
		(void)qget(o, SMMU_REG_EVENTQ_PROD);
		if (b->ours.n == first + 2) {
			ask_edu(o, EDU_BUF, b->iova ^ BACK, 3);
			b->at2 = qget(o, SMMU_REG_CR0);
			(void)qget(o, SMMU_REG_EVENTQ_PROD);
		}
	}
	o->vend[V_ALIVE_AT] = qget(o, SMMU_REG_CMDQ_CONS);
	o->vend[V_ALIVE] = b->vend[B_AGAIN_TAIL] ? b->vend[B_AGAIN_TAIL] & SMMU_Q_IDX : b->vend[B_TAIL];
}

/* `at`: of the result, EVENTQ_PROD behind it. pa NOTHING: a read. */
static void their_step(struct oracle *o, struct oracle_step *s, uint64_t pa, uint64_t result, uint32_t value, size_t at)
{
	uint64_t prod = qtest_answer(o->q, at + 1), was = o->vend[V_EVENT];

	o->vend[V_EVENT] = prod;
	if (prod != was) {
		record_of(o, o->theirs, was, s);
		if (((prod - was) & (BIT(EVENTS_LG2 + 1) - 1)) != 1)
			s->reason = 0xff; /* more than one */
	} else if (pa == NOTHING) {
		s->outcome = ORACLE_UNSEEN;
	} else if (result == 0 && oracle_get32(o, o->theirs, pa) == value) {
		s->outcome = ORACLE_LANDED;
		s->pa = pa;
	}
}

static void theirs(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	unsigned int first = b->vend[B_CMD_TAIL] ? 1 : 0;
	struct oracle_step *s = b->theirs.step + first;
	const struct oracle_step *mine = b->ours.step + first;
	size_t at = b->vend[B_AT_CMD];
	uint64_t flip = smmu_writes(c) ? 0 : BACK;

	b->theirs.n = b->ours.n;
	if (first)
		command_step(b->theirs.step, qtest_answer(o->q, at), qtest_answer(o->q, at + 1) ^ qtest_answer(o->q, at + 2));
	if (b->skip)
		return;
	if (smmu_writes(c))
		their_step(o, s, mine->pa ? mine->pa : b->target, qtest_answer(o->q, b->at), MAGIC, b->at);
	else
		their_step(o, s, NOTHING, 0, 0, b->at);
	if (b->ours.n == first + 2)
		their_step(o, s + 1, mine[1].pa ? mine[1].pa : b->target ^ flip, smmu_writes(c) ? qtest_answer(o->q, b->at2) : 0,
			   smmu_writes(c) ? MAGIC : datum(b), b->at2);
}

/* After commands that may be illegal: whatever the two thought of them, the queue goes on. */
static const char *resume(struct oracle *o)
{
	struct nb_diag diag;
	size_t at = qget(o, SMMU_REG_GERROR);
	unsigned int i;

	(void)qget(o, SMMU_REG_GERRORN);
	if (qtest_flush(o->q, &diag))
		return "QEMU went away";
	o->vend[V_GERRORN] = qtest_answer(o->q, at);
	if (qtest_answer(o->q, at + 1) == o->vend[V_GERRORN])
		return NULL;
	for (i = 0; i < 2 * BIT(RING_LG2); i++)
		oracle_put64(o, o->theirs, RING + 8 * i, i & 1 ? 0 : SMMU_CMD_SYNC);
	qreg(o, 4, SMMU_REG_GERRORN, o->vend[V_GERRORN]);
	at = qget(o, SMMU_REG_GERROR);
	if (qtest_flush(o->q, &diag))
		return "QEMU went away";
	for (i = 0; i < 2 * BIT(RING_LG2); i++)
		oracle_put64(o, o->theirs, RING + 8 * i, 0);
	return qtest_answer(o->q, at) == o->vend[V_GERRORN] ? NULL : "QEMU's command queue stays stopped";
}

static const char *alive(struct oracle *o)
{
	uint64_t cons = qtest_answer(o->q, o->vend[V_ALIVE_AT]);

	if (get(o, SMMU_REG_GERROR) != get(o, SMMU_REG_GERRORN))
		return "our command queue has stopped";
	if (o->vend[V_COMMANDS])
		return resume(o);
	return (cons & SMMU_Q_IDX) == o->vend[V_ALIVE] ? NULL : "QEMU's command queue has stopped";
}

static bool same_record(const struct oracle_step *a, const struct oracle_step *b)
{
	return a->reason == b->reason && memcmp(a->record, b->record, sizeof(a->record)) == 0;
}

/* ---- units ---- */

#define MACHINE(more) "-machine", "virt" more ",accel=qtest,memory-backend=ram0", "-cpu", "cortex-a57"
#define DEVICES                                                                                                       \
	"-device", "pcie-root-port,id=rp0,addr=02.0,chassis=1", "-device", "iommu-testdev,addr=03.0", "-device",     \
		"iommu-testdev,bus=rp0,addr=00.0", "-device", "edu,dma_mask=0xffffffffffffffff,addr=04.0"
#define UNIT_BOARD (const char *const[]){MACHINE(",iommu=smmuv3"), DEVICES, NULL}
#define UNIT_ADDED(options) \
	(const char *const[]){MACHINE(""), "-device", "arm-smmuv3,primary-bus=pcie.0" options, DEVICES, NULL}

static const struct oracle_unit units[] = {
	{"smmu", UNIT_BOARD, 0},
	{"smmu-2level", UNIT_BOARD, U_2LEVEL},
	{"smmu-s1", UNIT_ADDED(",stage=1"), U_S1},
	{"smmu-s2", UNIT_ADDED(",stage=2"), U_S2},
	{NULL, NULL, 0},
};

const struct oracle_vendor oracle_smmuv3 = {
	.name = "smmuv3",
	.program = "qemu-system-aarch64",
	.ram_base = RAM,
	.units = units,
	.fields = smmu_fields,
	.filters = smmu_known,
	.plain = smmu_plain,
	.random = smmu_random,
	.start = start,
	.build = smmu_build,
	.ours = ours,
	.ask = ask,
	.theirs = theirs,
	.alive = alive,
	.same_record = same_record,
	.print = smmu_print,
	.print_step = smmu_print_step,
};
