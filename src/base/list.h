/* SPDX-License-Identifier: BSD-3-Clause */
/* Circular doubly linked list with an anchor; embedded links, no allocation. */
#ifndef NB_BASE_LIST_H
#define NB_BASE_LIST_H

#include <stdbool.h>

#include "base/bits.h"

struct nb_list {
	struct nb_list *next, *prev;
};

static inline void nb_list_init(struct nb_list *l)
{
	l->next = l->prev = l;
}
static inline bool nb_list_empty(const struct nb_list *l)
{
	return l->next == l;
}
static inline void nb_list_add_tail(struct nb_list *head, struct nb_list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}
static inline void nb_list_del(struct nb_list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	nb_list_init(n);
}

#define nb_list_entry(ptr, type, member) container_of(ptr, type, member)
#define nb_list_for_each(pos, head, member)                                                        \
	for (pos = nb_list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);  \
	     pos = nb_list_entry(pos->member.next, __typeof__(*pos), member))
/* The current element may be deleted. */
#define nb_list_for_each_safe(pos, tmp, head, member)                                              \
	for (pos = nb_list_entry((head)->next, __typeof__(*pos), member),                          \
	    tmp = nb_list_entry(pos->member.next, __typeof__(*pos), member);                       \
	     &pos->member != (head); pos = tmp, tmp = nb_list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
