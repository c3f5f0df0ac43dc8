/** What the daemon's metrics are made of: its runs, its provider of metadata, and what `status` would say. */
import pkg from '../../package.json' with { type: 'json' };
import { AgentError } from '../errors.ts';
import type { MetadataProvider } from '../metadata/provider.ts';
import { createExporter, type Exporter } from '../metrics/exporter.ts';
import type { PresentFacts } from '../metrics/registry.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import type { ReconcileOutcome } from '../reconcile/outcome.ts';
import type { Service } from '../reconcile/service.ts';
import type { Context } from './context.ts';
import { makeReport } from './make-report.ts';

/** `service` is asked for when there is one. */
export function createDaemonExporter({ paths, log }: Context, service: () => Service): Exporter {
  return createExporter({ version: pkg.version, below: paths.below, log, look: () => look(service()) });
}

async function look(service: Service): Promise<PresentFacts> {
  const health = service.health();
  const { interfaces } = await makeReport(service.looker(), health);
  const isMetadataUp = health.failure !== null ? false : health.ageMs === null ? null : true;
  return { interfaces, isMetadataUp, fights: health.fights.size };
}

/** The same provider, whose readings are counted. */
export function counted(provider: MetadataProvider, exporter: Exporter): MetadataProvider {
  const timed = async (reading: Promise<InstanceMetadata>): Promise<InstanceMetadata> => {
    const startedAt = performance.now();
    const done = (result: 'success' | 'failure'): void =>
      exporter.asked('reading', result, performance.now() - startedAt);
    try {
      const answer = await reading;
      done('success');
      return answer;
    } catch (error) {
      done('failure');
      throw error;
    }
  };
  return {
    name: provider.name,
    fetch: () => timed(provider.fetch()),
    refresh: (expected) => timed(provider.refresh(expected)),
    retryAfterMs: () => provider.retryAfterMs(),
    publicAddresses: (nic) => provider.publicAddresses(nic),
    close: () => provider.close(),
  };
}

/** The work of a command, as a run. A NIC that is none is no run. */
export async function asRun<T>(
  exporter: Exporter,
  work: Promise<T>,
  outcomeOf: (result: T) => ReconcileOutcome,
): Promise<T> {
  try {
    const result = await work;
    exporter.ran('command', outcomeOf(result));
    return result;
  } catch (error) {
    if (!(error instanceof AgentError && error.code === 'usage')) exporter.ran('command', null);
    throw error;
  }
}
