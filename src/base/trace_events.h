/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every event that nestbox can report, once. X(id, "room.name", "format")
 *
 * An event has at most four 64-bit arguments; the format gets them in order as
 * uint64_t (write PRIx64 and friends as plain %lx / %lu). From this list come the
 * counters, the log lines (`--log PATTERN`, patterns match "room.name" with
 * fnmatch(3)) and the USDT probes nestbox:id.
 *
 * Keep related events together. An id is part of what users see: do not reuse one for another meaning.
 */
#ifndef NB_TRACE_EVENTS
#define NB_TRACE_EVENTS(X)                                                                                   \
	/* data path: one per translation asked for; a miss also counts as a translation */                     \
	X(hw_translate, "hw.translate", "rid %04lx pasid %lx addr %lx access %lx")                                \
	X(hw_tlb_hit, "hw.tlb-hit", "rid %04lx pasid %lx addr %lx pa %lx")                                        \
	X(hw_tlb_miss, "hw.tlb-miss", "rid %04lx pasid %lx addr %lx")                                             \
	X(hw_tlb_evict, "hw.tlb-evict", "tag %lx page %lx")                                                       \
	X(hw_cfg_miss, "hw.config-miss", "rid %04lx pasid %lx")                                                   \
	X(hw_fault, "hw.fault", "rid %04lx pasid %lx addr %lx reason %lx")                                        \
	X(hw_fault_lost, "hw.fault-lost", "rid %04lx reason %lx")                                                 \
	X(hw_dma_read, "hw.dma-read", "rid %04lx pasid %lx addr %lx bytes %lu")                                   \
	X(hw_dma_write, "hw.dma-write", "rid %04lx pasid %lx addr %lx bytes %lu")                                 \
	X(hw_dma_irq, "hw.dma-irq", "rid %04lx addr %lx: interrupt message of %lu bytes by DMA")                                \
	X(hw_dma_bad_pa, "hw.dma-bad-pa", "rid %04lx addr %lx pa %lx: no memory there")                           \
	X(hw_ats_request, "hw.ats-request", "rid %04lx pasid %lx addr %lx access %lx")                            \
	X(hw_ats_done, "hw.ats-done", "rid %04lx addr %lx status %lx pa %lx")                                     \
	X(hw_ats_hit, "hw.ats-hit", "rid %04lx pasid %lx addr %lx pa %lx")                                        \
	X(hw_ats_inval, "hw.ats-inval", "rid %04lx pasid %lx addr %lx lg2 %lu")                                   \
	X(hw_page_request, "hw.page-request", "rid %04lx pasid %lx addr %lx group %lx")                           \
	X(hw_page_response, "hw.page-response", "rid %04lx pasid %lx group %lx code %lx")                         \
	X(hw_page_request_lost, "hw.page-request-lost", "rid %04lx addr %lx group %lx")                           \
	X(hw_intr, "hw.intr", "rid %04lx addr %lx dest %lx vector %lx")                                           \
	X(hw_intr_blocked, "hw.intr-blocked", "rid %04lx addr %lx data %lx reason %lx")                           \
	X(hw_its_message, "hw.its-message", "device %05lx event %lx lpi %lu")                                     \
	X(hw_its_no_event, "hw.its-no-event", "device %05lx event %lx: dropped, the device has none such")        \
	X(hw_its_bad_write, "hw.its-bad-write", "device %05lx offset %lx bytes %lu: dropped, no message")         \
	/* registers and queues of the hardware */                                                              \
	X(hw_mmio_read, "hw.mmio-read", "reg %lx size %lu value %lx")                                             \
	X(hw_mmio_write, "hw.mmio-write", "reg %lx size %lu value %lx")                                           \
	X(hw_inv_desc, "hw.inv-desc", "lo %lx hi %lx")                                                            \
	X(hw_inv_error, "hw.inv-error", "lo %lx hi %lx reason %lx")                                               \
	X(hw_irq, "hw.irq", "addr %lx data %lx")                                                                  \
	/* an IOMMU that a function brings; its own hw.* events are not among the others */                     \
	X(own_mmio_read, "own.mmio-read", "rid %04lx reg %lx size %lu value %lx")                                 \
	X(own_mmio_write, "own.mmio-write", "rid %04lx reg %lx size %lu value %lx")                               \
	X(own_cmd_config, "own.cmd-config", "lo %lx hi %lx")                                                      \
	X(own_cmd_tlb, "own.cmd-tlb", "lo %lx hi %lx")                                                            \
	X(own_cmd_sync, "own.cmd-sync", "lo %lx hi %lx")                                                          \
	X(own_cmd_other, "own.cmd-other", "lo %lx hi %lx")                                                        \
	X(own_fetch, "own.fetch", "rid %04lx addr %lx word %lx")                                                  \
	X(own_refused, "own.refused", "rid %04lx pasid %lx addr %lx bytes %lu")                                   \
	X(own_irq, "own.irq", "rid %04lx wire %lu")                                                               \
	/* host drivers */                                                                                      \
	X(drv_attach, "drv.attach", "rid %04lx pasid %lx domain type %lu id %lu")                                 \
	X(drv_block, "drv.block", "rid %04lx pasid %lx")                                                          \
	X(drv_fault, "drv.fault", "rid %04lx pasid %lx addr %lx reason %lx")                                      \
	X(drv_inv_user, "drv.inv-user", "addr %lx pages %lx flags %lx")                                           \
	X(drv_inv_cmd, "drv.inv-cmd", "lo %lx hi %lx: a command of the guest, in its own names")                  \
	X(drv_inv_range, "drv.inv-range", "domain id %lu first %lx last %lx")                                     \
	X(drv_page_request, "drv.page-request", "rid %04lx pasid %lx addr %lx group %lx")                         \
	X(drv_page_response, "drv.page-response", "rid %04lx pasid %lx group %lx code %lx")                       \
	X(drv_irq_map, "drv.irq-map", "rid %04lx handle %lx count %lu dest %lx")                                  \
	X(drv_irq_unmap, "drv.irq-unmap", "rid %04lx handle %lx count %lu")                                       \
	X(drv_queue_error, "drv.queue-error", "status %lx head %lx")                                              \
	/* the kernel's core */                                                                                 \
	X(host_ioctl, "host.ioctl", "cmd %lx result %ld")                                                         \
	X(host_ioctl_failed, "host.ioctl-failed", "cmd %lx errno %ld")                                            \
	X(host_hwpt_paging, "host.hwpt-paging", "id %lu dev %lu flags %lx")                                       \
	X(host_hwpt_nested, "host.hwpt-nested", "id %lu dev %lu parent %lu")                                      \
	X(host_hwpt_destroy, "host.hwpt-destroy", "id %lu nested %lu")                                            \
	X(host_hwpt_nested_destroy, "host.hwpt-nested-destroy", "id %lu parent %lu")                              \
	X(host_hwpt_invalidate, "host.hwpt-invalidate", "id %lu entries %lu done %lu")                            \
	X(host_attach, "host.attach", "dev %lu pasid %lx hwpt %lu")                                               \
	X(host_detach, "host.detach", "dev %lu pasid %lx")                                                        \
	X(host_attach_unnested, "host.attach-unnested", "dev %lu hwpt %lu: the IOMMU can nest, this table is no parent") \
	X(host_map, "host.map", "ioas %lu iova %lx length %lx va %lx")                                            \
	X(host_unmap, "host.unmap", "ioas %lu iova %lx length %lx")                                               \
	X(host_revoke, "host.revoke", "va %lx length %lx areas %lu")                                              \
	X(host_viommu, "host.viommu", "id %lu dev %lu parent %lu type %lu")                                       \
	X(host_viommu_destroy, "host.viommu-destroy", "id %lu")                                                   \
	X(host_vdevice, "host.vdevice", "id %lu viommu %lu dev %lu virtual id %lx")                               \
	X(host_vdevice_destroy, "host.vdevice-destroy", "id %lu dev %lu")                                         \
	X(host_vevent, "host.vevent", "queue %lu sequence %lu")                                                   \
	X(host_vevent_lost, "host.vevent-lost", "queue %lu sequence %lu")                                         \
	X(host_hw_queue, "host.hw-queue", "id %lu viommu %lu index %lu length %lx")                               \
	X(host_hw_queue_destroy, "host.hw-queue-destroy", "id %lu")                                               \
	X(host_msi_map, "host.msi-map", "hwpt %lu iova %lx doorbell %lx")                                         \
	X(host_msi_unmap, "host.msi-unmap", "hwpt %lu iova %lx")                                                  \
	X(host_msi_bind, "host.msi-bind", "dev %lu giova %lx doorbell of the guest %lx")                          \
	X(host_msi_unbind, "host.msi-unbind", "dev %lu giova %lx")                                                \
	X(host_msi_unbound, "host.msi-unbound", "rid %04lx hwpt %lu: messages refused, the device has no guest-MSI binding") \
	X(host_fault, "host.fault", "queue %lu dev %lu pasid %lx addr %lx")                                       \
	X(host_fault_response, "host.fault-response", "queue %lu cookie %lu code %lx")                            \
	X(host_fault_dropped, "host.fault-dropped", "dev %lu pasid %lx addr %lx")                                 \
	X(vfio_irq, "vfio.irq", "dev %lu index %lu vector %lu")                                                   \
	X(vfio_irq_lost, "vfio.irq-lost", "dev %lu index %lu vector %lu")                                         \
	X(vfio_reset, "vfio.reset", "dev %lu")                                                                    \
	/* devices */                                                                                           \
	X(nvme_cmd, "nvme.cmd", "sq %lu opcode %lx cid %lx nsid %lu")                                             \
	X(nvme_done, "nvme.done", "sq %lu cid %lx status %lx")                                                    \
	X(nvme_dma_error, "nvme.dma-error", "sq %lu cid %lx addr %lx")                                            \
	X(dmatest_cmd, "dmatest.cmd", "op %lx src %lx dst %lx length %lx")                                        \
	X(dmatest_done, "dmatest.done", "status %lx addr %lx")                                                    \
	/* the virtual host */                                                                                  \
	X(run_open, "run.open", "fd %ld kind %lu")                                                                \
	X(run_close, "run.close", "fd %ld kind %lu")                                                              \
	X(run_refused, "run.refused", "fd %ld owner pid %lu")                                                     \
	X(run_no_control, "run.no-control", "no control socket: errno %ld")
#endif
