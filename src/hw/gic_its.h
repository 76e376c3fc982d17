/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A doorbell like that of Arm's Interrupt Translation Service (IHI 0069, chapter 5).
 *
 * A message is a 32-bit write of an EventID to GITS_TRANSLATER. The bus adds the DeviceID of the writer, which the writer cannot choose,
 * and the pair is looked up: an INTID (an LPI) and with it an interrupt, or nothing. So a device raises its own interrupts only.
 *
 * The frame with that register is what functions' messages are translated to; the other one, with the registers of the service's own driver
 * (ITS_TRANSLATER_FRAME below it), is not modelled: what its commands MAPD, MAPTI and DISCARD do are calls here. Pending bits and priorities are not
 * either; an interrupt is delivered by the write that raises it.
 *
 * Threads: gic_its_add_device() before any message. All else at any time.
 */
#ifndef NB_HW_GIC_ITS_H
#define NB_HW_GIC_ITS_H

#include "hw/hw.h"

#define ITS_FRAME_SIZE	     0x10000u
#define ITS_TRANSLATER_FRAME 0x10000u /* from the service's base */
#define ITS_TRANSLATER	     0x40u    /* in its frame: 12.19.12 */
#define ITS_LPI_FIRST	     8192u    /* smaller INTIDs are no LPIs */

struct gic_its;

/* deliver: an LPI was raised. Any thread, no locks, outside read sections. */
struct gic_its *gic_its_new(struct nb_trace *tr, void (*deliver)(void *opaque, uint32_t lpi), void *opaque);
void gic_its_free(struct gic_its *its);

/* MAPD: the device has EventIDs 0 to events - 1, none of them mapped. -ENOMEM. -EEXIST: there is one of this id. */
int gic_its_add_device(struct gic_its *its, uint32_t device, uint32_t events);
/* MAPTI: an event of a device means an LPI from now on. -EINVAL: no such device or event, or no LPI. */
int gic_its_map(struct gic_its *its, uint32_t device, uint32_t event, uint32_t lpi);
/* DISCARD of n events and SYNC: when it returns, nothing is delivered for them any more. Blocks; not under what deliver() may take. */
void gic_its_unmap(struct gic_its *its, uint32_t device, uint32_t event, uint32_t n);

/* For units: their functions' messages. base is where the translation frame is. Lives as long as its. */
const struct hw_doorbell *gic_its_doorbell(struct gic_its *its, hpa_t base);

#endif
