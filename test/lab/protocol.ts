/** What a lab process asks of an actor: one long-lived process per namespace that accepts, connects and plays the metadata. */
import type { Fault, ServedModel, ServedRequest } from './metadata-server.ts';

export interface ConnectRequest {
  readonly to: string;
  readonly port: number;
  /** The local address to bind first; without it the kernel chooses. */
  readonly source?: string;
  readonly timeoutMs: number;
}

export interface ProbeRequest extends ConnectRequest {
  /** `http`: any answer; the others must come from the address that was asked. */
  readonly protocol: 'tcp' | 'udp' | 'ping' | 'http';
}

/** Who answered, and between which addresses as it saw them. */
export interface Answer {
  readonly host: string;
  readonly local: string;
  readonly remote: string;
}

export interface ConnectResult {
  /** `ok`: an answer came back. `failed`: none of the others, see `detail`. */
  readonly outcome: 'ok' | 'timeout' | 'refused' | 'unreachable' | 'failed';
  readonly answer?: Answer;
  readonly detail?: string;
}

export interface SessionRequest {
  readonly to: string;
  readonly port: number;
  readonly timeoutMs: number;
}

export interface OpenedSession {
  readonly id: number;
  readonly localPort: number;
}

export interface Typed {
  readonly bytes: number;
  /** The longest time that an echo took. */
  readonly longestEchoMs: number;
}

export interface ActorCommands {
  /** Answer TCP on every address of the namespace, or on one alone, with an `Answer`. */
  readonly respond: {
    readonly arguments: { readonly host: string; readonly port: number; readonly address?: string };
    readonly result: null;
  };
  readonly connect: { readonly arguments: ConnectRequest; readonly result: ConnectResult };
  /** The same by UDP, on each address that the namespace has by now, from that address; again when there are more. */
  readonly respondUdp: {
    readonly arguments: { readonly host: string; readonly port: number };
    readonly result: null;
  };
  /** One question and whether it was answered. */
  readonly probe: { readonly arguments: ProbeRequest; readonly result: ConnectResult };
  /** Send back every byte that comes. */
  readonly echo: { readonly arguments: { readonly port: number }; readonly result: null };
  /** A connection that stays. */
  readonly openSession: { readonly arguments: SessionRequest; readonly result: OpenedSession };
  /** Sends a line and waits until it is back. */
  readonly exchange: {
    readonly arguments: { readonly id: number; readonly timeoutMs: number };
    readonly result: null;
  };
  /** Sends a byte every so often, once the echo of the one before is back, until `stopTyping`. */
  readonly type: {
    readonly arguments: { readonly id: number; readonly everyMs: number; readonly timeoutMs: number };
    readonly result: Typed;
  };
  readonly stopTyping: { readonly arguments: { readonly id: number }; readonly result: null };
  readonly closeSession: { readonly arguments: { readonly id: number }; readonly result: null };
  readonly startMetadata: {
    readonly arguments: { readonly host: string; readonly port: number };
    readonly result: null;
  };
  /** New connections are refused until it is started again. */
  readonly stopMetadata: { readonly arguments: null; readonly result: null };
  /** `client` is the address that asks. */
  readonly setMetadata: {
    readonly arguments: { readonly client: string; readonly model: ServedModel };
    readonly result: null;
  };
  readonly setFault: { readonly arguments: { readonly fault: Fault | null }; readonly result: null };
  readonly readRequests: {
    readonly arguments: null;
    readonly result: readonly ServedRequest[];
  };
}

export type CommandName = keyof ActorCommands;

export type Handlers = {
  [Name in CommandName]: (args: ActorCommands[Name]['arguments']) => Promise<ActorCommands[Name]['result']>;
};

export interface ActorRequest<Name extends CommandName = CommandName> {
  readonly id: number;
  readonly command: Name;
  readonly arguments: ActorCommands[Name]['arguments'];
}

export type ActorReply =
  | { readonly ready: true }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };
