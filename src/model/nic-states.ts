/** CONTRACT, the states of a NIC in `status`. */
export const NIC_STATES = [
  'in-sync',
  'pending',
  'degraded',
  'failed',
  'unmanaged',
  'released',
  'foreign-config',
  'detached',
] as const;
export type NicStatusName = (typeof NIC_STATES)[number];
