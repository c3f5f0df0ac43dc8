/** What a lab process asks of an actor: one long-lived process per namespace that accepts, connects and plays the metadata. */
import type { Fault, ServedModel, ServedRequest } from './metadata-server.ts';

export interface ConnectRequest {
  readonly to: string;
  readonly port: number;
  /** The local address to bind first; without it the kernel chooses. */
  readonly source?: string;
  readonly timeoutMs: number;
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

export interface ActorCommands {
  /** Answer TCP on every address of the namespace with an `Answer`. */
  readonly respond: {
    readonly arguments: { readonly host: string; readonly port: number };
    readonly result: null;
  };
  readonly connect: { readonly arguments: ConnectRequest; readonly result: ConnectResult };
  readonly startMetadata: {
    readonly arguments: { readonly host: string; readonly port: number };
    readonly result: null;
  };
  /** New connections are refused until it is started again. */
  readonly stopMetadata: { readonly arguments: null; readonly result: null };
  readonly setMetadata: { readonly arguments: ServedModel; readonly result: null };
  readonly setFault: { readonly arguments: { readonly fault: Fault | null }; readonly result: null };
  readonly readRequests: {
    readonly arguments: null;
    readonly result: readonly ServedRequest[];
  };
}

export type CommandName = keyof ActorCommands;

export interface ActorRequest<Name extends CommandName = CommandName> {
  readonly id: number;
  readonly command: Name;
  readonly arguments: ActorCommands[Name]['arguments'];
}

export type ActorReply =
  | { readonly ready: true }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };
