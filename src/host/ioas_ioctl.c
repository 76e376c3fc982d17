/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls on address spaces: arguments checked in Linux's order, then the work of ioas.c. */
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/ioas.h"
#include "host/ioctl.h"
#include "uapi/iommufd.h"

#define MAP_FLAGS (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)

static int no_ioas(struct ucmd *u, uint32_t id)
{
	return nb_fail(&u->diag, -ENOENT, "there is no IOAS %" PRIu32, id);
}

static int unsupported(struct ucmd *u, const char *what)
{
	return nb_fail(&u->diag, -EOPNOTSUPP, "%s", what);
}

int ioctl_ioas_alloc(struct ucmd *u)
{
	struct iommu_ioas_alloc *c = u->cmd;
	struct ioas *s;
	int err;

	if (c->flags)
		return unsupported(u, "unknown flags");
	err = ioas_alloc(u->ctx, &s);
	if (err)
		return err;
	c->out_ioas_id = s->obj.id;
	u->made = &s->obj;
	return 0;
}

int ioctl_ioas_iova_ranges(struct ucmd *u)
{
	struct iommu_ioas_iova_ranges *c = u->cmd;
	uint32_t room = c->num_iovas;
	struct ioas *s;
	int err = 0;

	if (c->__reserved)
		return unsupported(u, "a reserved field is not 0");
	s = ioas_get(u->ctx, c->ioas_id);
	if (!s)
		return no_ioas(u, c->ioas_id);
	pthread_mutex_lock(&s->lock);
	c->num_iovas = (uint32_t)s->space.nholes;
	c->out_iova_alignment = s->alignment;
	for (uint32_t i = 0; i < c->num_iovas && i < room && !err; i++) {
		struct iommu_iova_range r = {s->space.holes[i].first, s->space.holes[i].last};

		err = user_write(c->allowed_iovas + i * sizeof(r), &r, sizeof(r));
	}
	pthread_mutex_unlock(&s->lock);
	object_put(&s->obj);
	if (!err && c->num_iovas > room) {
		u->respond_anyway = true; /* no complaint: this is how one asks for the number */
		err = -EMSGSIZE;
	}
	return err;
}

/* The caller's array, read piece by piece so that memory is only spent on entries that are there. */
static int read_ranges(struct ucmd *u, uint64_t uptr, uint32_t n, struct iova_win **out)
{
	struct iova_win *w = NULL;
	uint32_t room = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct iommu_iova_range r;
		int err = 0;

		if (user_read(&r, uptr + i * sizeof(r), sizeof(r)))
			err = -EFAULT;
		else if (r.start >= r.last)
			err = nb_fail(&u->diag, -EINVAL, "range %" PRIu32 " begins at or after its last byte", i);
		if (!err && i == room) {
			struct iova_win *more = nb_realloc(w, room ? (size_t)room * 2 : 16, sizeof(*w));

			if (more) {
				w = more;
				room = room ? (room > UINT32_MAX / 2 ? UINT32_MAX : room * 2) : 16;
			} else {
				err = -ENOMEM;
			}
		}
		if (err) {
			nb_free(w);
			return err;
		}
		w[i] = (struct iova_win){r.start, r.last};
	}
	*out = w;
	return 0;
}

int ioctl_ioas_allow_iovas(struct ucmd *u)
{
	const struct iommu_ioas_allow_iovas *c = u->cmd;
	struct iova_win *w = NULL;
	struct ioas *s;
	int err;

	if (c->__reserved)
		return unsupported(u, "a reserved field is not 0");
	s = ioas_get(u->ctx, c->ioas_id);
	if (!s)
		return no_ioas(u, c->ioas_id);
	err = read_ranges(u, c->allowed_iovas, c->num_iovas, &w);
	if (!err) {
		pthread_mutex_lock(&s->lock);
		err = iova_space_allow(&s->space, w, c->num_iovas);
		pthread_mutex_unlock(&s->lock);
		if (err == -EADDRINUSE)
			nb_fail(&u->diag, err, "an allowed range hits a reserved one");
		else if (err == -EINVAL)
			nb_fail(&u->diag, err, "the ranges overlap each other");
	}
	nb_free(w);
	object_put(&s->obj);
	return err;
}

static int check_map(struct ucmd *u, uint32_t flags, uint32_t reserved, uint64_t length, uint64_t iova, uint64_t iova2)
{
	if (flags & ~(uint32_t)MAP_FLAGS || reserved)
		return unsupported(u, "unknown flags or a reserved field is not 0");
	if (length == UINT64_MAX || iova == UINT64_MAX || iova2 == UINT64_MAX)
		return nb_fail(&u->diag, -EOVERFLOW, "IOVA or length is all ones");
	if (!(flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return nb_fail(&u->diag, -EINVAL, "neither readable nor writable");
	return 0;
}

static struct ioas_map_args map_args(uint32_t flags, uint64_t iova, uint64_t length)
{
	return (struct ioas_map_args){
		.fixed = flags & IOMMU_IOAS_MAP_FIXED_IOVA,
		.read = flags & IOMMU_IOAS_MAP_READABLE,
		.write = flags & IOMMU_IOAS_MAP_WRITEABLE,
		.iova = iova,
		.length = length,
	};
}

int ioctl_ioas_map(struct ucmd *u)
{
	struct iommu_ioas_map *c = u->cmd;
	struct ioas_map_args m;
	struct ioas *s;
	int err = check_map(u, c->flags, c->__reserved, c->length, c->iova, 0);

	if (err)
		return err;
	s = ioas_get(u->ctx, c->ioas_id);
	if (!s)
		return no_ioas(u, c->ioas_id);
	m = map_args(c->flags, c->iova, c->length);
	err = ioas_map_user(s, &m, c->user_va, &u->diag);
	if (!err) {
		c->iova = m.iova;
		NB_TRACE(u->ctx->host->cfg.tr, host_map, s->obj.id, m.iova, m.length, c->user_va);
	}
	object_put(&s->obj);
	return err;
}

int ioctl_ioas_map_file(struct ucmd *u)
{
	struct iommu_ioas_map_file *c = u->cmd;
	struct ioas_map_args m;
	struct ioas *s;
	int err = check_map(u, c->flags, 0, c->length, c->iova, 0);

	if (err)
		return err;
	s = ioas_get(u->ctx, c->ioas_id);
	if (!s)
		return no_ioas(u, c->ioas_id);
	m = map_args(c->flags, c->iova, c->length);
	err = ioas_map_file(s, &m, c->fd, c->start, &u->diag);
	if (!err) {
		c->iova = m.iova;
		NB_TRACE(u->ctx->host->cfg.tr, host_map, s->obj.id, m.iova, m.length, c->start);
	}
	object_put(&s->obj);
	return err;
}

int ioctl_ioas_copy(struct ucmd *u)
{
	struct iommu_ioas_copy *c = u->cmd;
	struct ioas_map_args m;
	struct ioas *src, *dst;
	int err = check_map(u, c->flags, 0, c->length, c->src_iova, c->dst_iova);

	if (err)
		return err;
	src = ioas_get(u->ctx, c->src_ioas_id);
	if (!src)
		return no_ioas(u, c->src_ioas_id);
	dst = ioas_get(u->ctx, c->dst_ioas_id);
	if (!dst) {
		err = no_ioas(u, c->dst_ioas_id);
		goto out;
	}
	m = map_args(c->flags, c->dst_iova, c->length);
	err = ioas_copy(dst, &m, src, c->src_iova, &u->diag);
	if (!err)
		c->dst_iova = m.iova;
	object_put(&dst->obj);
out:
	object_put(&src->obj);
	return err;
}

int ioctl_ioas_unmap(struct ucmd *u)
{
	struct iommu_ioas_unmap *c = u->cmd;
	bool all = c->iova == 0 && c->length == UINT64_MAX;
	uint64_t unmapped = 0;
	struct ioas *s;
	int err = 0;

	s = ioas_get(u->ctx, c->ioas_id);
	if (!s)
		return no_ioas(u, c->ioas_id);
	if (all)
		err = ioas_unmap(s, 0, UINT64_MAX, &unmapped, &u->diag);
	else if (c->iova == UINT64_MAX || c->length == UINT64_MAX)
		err = nb_fail(&u->diag, -EOVERFLOW, "IOVA or length is all ones");
	else if (c->length == 0)
		err = nb_fail(&u->diag, -EINVAL, "length is 0");
	else if (c->iova > UINT64_MAX - (c->length - 1))
		err = nb_fail(&u->diag, -EOVERFLOW, "IOVA %#" PRIx64 " length %#" PRIx64 " wraps", c->iova, c->length);
	else
		err = ioas_unmap(s, c->iova, c->iova + (c->length - 1), &unmapped, &u->diag);
	if (!err && !all && unmapped == 0)
		err = -ENOENT; /* common and tolerated: no line in the log */
	if (!err) {
		NB_TRACE(u->ctx->host->cfg.tr, host_unmap, s->obj.id, c->iova, unmapped);
		c->length = unmapped;
	}
	object_put(&s->obj);
	return err;
}
