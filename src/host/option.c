/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "host/ioas.h"
#include "host/ioctl.h"
#include "host/sys.h"
#include "uapi/iommufd.h"

/* Is the capability in the effective set of the calling thread? */
static bool has_capability(unsigned int cap)
{
	struct {
		uint32_t version;
		int pid;
	} hdr = {0x20080522, 0};
	struct {
		uint32_t effective, permitted, inheritable;
	} data[2] = {{0}};

	return SYS(SYS_capget, &hdr, data) == 0 && data[cap / 32].effective & (1u << cap % 32);
}

#define NB_CAP_SYS_RESOURCE 24

/* Remembered and answered, but nothing is accounted: a virtual host pins nothing. */
static int rlimit_mode(struct ucmd *u, struct iommu_option *c)
{
	struct ictx *ctx = u->ctx;
	int err = 0;

	if (c->object_id)
		return nb_fail(&u->diag, -EOPNOTSUPP, "the option is the context's, not an object's");
	if (c->op == IOMMU_OPTION_OP_GET) {
		c->val64 = ctx->account_process;
		return 0;
	}
	if (c->op != IOMMU_OPTION_OP_SET)
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown operation %u", c->op);
	if (!has_capability(NB_CAP_SYS_RESOURCE))
		return nb_fail(&u->diag, -EPERM, "needs CAP_SYS_RESOURCE");
	pthread_mutex_lock(&ctx->lock);
	if (ctx->count)
		err = nb_fail(&u->diag, -EBUSY, "the context has objects already");
	else if (c->val64 > 1)
		err = nb_fail(&u->diag, -EINVAL, "%" PRIu64 " is neither 0 nor 1", c->val64);
	else
		ctx->account_process = c->val64;
	pthread_mutex_unlock(&ctx->lock);
	return err;
}

static int huge_pages(struct ucmd *u, struct iommu_option *c)
{
	struct ioas *s = ioas_get(u->ctx, c->object_id);
	int err = 0;

	if (!s)
		return nb_fail(&u->diag, -ENOENT, "there is no IOAS %" PRIu32, c->object_id);
	if (c->op == IOMMU_OPTION_OP_GET) {
		pthread_mutex_lock(&s->lock);
		c->val64 = s->huge_pages;
		pthread_mutex_unlock(&s->lock);
	} else if (c->op != IOMMU_OPTION_OP_SET) {
		err = nb_fail(&u->diag, -EOPNOTSUPP, "unknown operation %u", c->op);
	} else if (c->val64 > 1) {
		err = nb_fail(&u->diag, -EINVAL, "%" PRIu64 " is neither 0 nor 1", c->val64);
	} else {
		err = ioas_set_huge_pages(s, c->val64, &u->diag);
	}
	object_put(&s->obj);
	return err;
}

int ioctl_option(struct ucmd *u)
{
	struct iommu_option *c = u->cmd;
	int err;

	if (c->__reserved)
		return nb_fail(&u->diag, -EOPNOTSUPP, "a reserved field is not 0");
	switch (c->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		err = rlimit_mode(u, c);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		err = huge_pages(u, c);
		break;
	default:
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown option %" PRIu32, c->option_id);
	}
	/* Only the value goes back, for both operations. */
	if (!err)
		err = user_write(u->uptr + offsetof(struct iommu_option, val64), &c->val64, sizeof(c->val64));
	return err;
}
