/** What there is around the agent, as `doctor` looks at it: found, or not to be found out, and then why. */

export type Known<Value> = { readonly value: Value } | { readonly unknown: string };

/** A line of /etc/iproute2/rt_tables or of a file of rt_tables.d. */
export interface TableName {
  /** As the distribution knows it. */
  readonly file: string;
  readonly text: string;
  readonly number: number;
  readonly name: string;
}

/** A program of somebody else that sets NICs up when they come. */
export interface OtherAgent {
  readonly name: string;
  /** What starts it: a rule of udev, or a unit that is enabled. */
  readonly starter:
    | { readonly kind: 'udev-rule'; readonly file: string }
    | { readonly kind: 'unit'; readonly link: string; readonly units: readonly string[] };
}

/** Of the unit, in systemd's words. */
export interface ServiceState {
  readonly active: string;
  readonly result: string;
}

export interface Surroundings {
  readonly tableNames: Known<readonly TableName[]>;
  /** cloud-init is installed, and may write the network's files. */
  readonly isCloudInitFree: Known<boolean>;
  /** ifup is told to add no route for link-local addresses. */
  readonly isZeroconfOff: Known<boolean>;
  readonly otherAgents: Known<readonly OtherAgent[]>;
  /** Rules of the firewall that send a connection to another address, as its own programs list them. */
  readonly translations: Known<readonly string[]>;
  /** net.ipv4.ip_forward */
  readonly isForwarding: boolean;
  /** Of SELinux, what it denied since the boot; none where there is no SELinux. */
  readonly denials: Known<readonly string[]>;
  /** null where the unit is not installed. */
  readonly service: Known<ServiceState | null>;
}
