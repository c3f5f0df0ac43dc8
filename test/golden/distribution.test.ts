/** The readers of the distribution's files say of each fixture what the distribution's own program did with it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readIfcfgProfiles } from '../distribution/ifcfg-rh.ts';
import type { Meaning } from '../distribution/meaning.ts';
import { readNetworkScripts } from '../distribution/network-scripts.ts';
import { fixtureFolder, LINKS } from '../unit/distribution/fixture.ts';
import { parseExpected } from './expected.ts';

const FIXTURES = fileURLToPath(new URL('fixtures/', import.meta.url));

describe('what the reader says of fixture', () => {
  test.each(
    (['policy', 'ipv6'] as const).flatMap((set) => ([7, 8] as const).map((release) => ({ set, release }))),
  )('$set is what network-scripts of CentOS $release did', ({ set, release }) => {
    const folder = fixtureFolder(`network-scripts/${set}`);
    expect(readNetworkScripts(folder, LINKS, { release }).map(asExpected)).toEqual([
      { ...expectedOf(`network-scripts/${set}/EXPECTED.centos7-and-8`), complaints: [] },
    ]);
    expect(readIfcfgProfiles(folder, LINKS), 'NetworkManager leaves it alone').toEqual([]);
  });

  test('ifcfg-under-networkmanager is what NetworkManager did', () => {
    const profiles = readIfcfgProfiles(fixtureFolder('ifcfg-under-networkmanager/policy'), LINKS);
    expect(profiles.map(asExpected)).toEqual([
      { ...expectedOf('ifcfg-under-networkmanager/policy/EXPECTED'), complaints: [] },
    ]);
  });
});

function asExpected({ addresses, routes, rules, complaints }: Meaning) {
  return { addresses, routes: routes.toSorted(), rules: rules.toSorted(), complaints };
}

function expectedOf(file: string) {
  return parseExpected(readFileSync(FIXTURES + file, 'utf8'));
}
