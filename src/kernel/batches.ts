/** How requests go out: as many in one send as the kernel can take and answer. */
import { type KernelRequest, messageBytes } from './codec.ts';

/** A send is copied into one piece of kernel memory. Up to 32 KiB, header included, such a piece is always to be had (PAGE_ALLOC_COSTLY_ORDER); kernel 3.10 has no way around it. */
export const SEND_BYTES = 32 * 1024 - 512;
/**
 * Each failed request is answered, with a copy of the request, before the first answer can be read, so they must fit the receive
 * buffer all together or are lost. A bound of what one takes there: a 512 byte piece for the data and as much again for its bookkeeping.
 */
const ANSWER_BYTES = 1280;

/** How many requests a receive buffer of that size has room for, should all of them fail. */
export function answersIn(receiveBufferBytes: number): number {
  return Math.floor(receiveBufferBytes / ANSWER_BYTES);
}

/** Batches that the kernel can take in one send, and whose answers all fit the receive buffer. */
export function splitBatches(requests: readonly KernelRequest[], maxRequests: number): KernelRequest[][] {
  const batches: KernelRequest[][] = [];
  let batch: KernelRequest[] = [];
  let bytes = 0;
  for (const request of requests) {
    const size = messageBytes(request);
    if (batch.length > 0 && (batch.length >= maxRequests || bytes + size > SEND_BYTES)) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(request);
    bytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
