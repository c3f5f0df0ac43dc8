import { describe, expect, test } from 'vitest';
import { renderIptables } from '../../../src/apply/iptables-script.ts';
import { renderNft } from '../../../src/apply/nft-script.ts';
import { type ConnectionMark, jumpTag, markOfSlot } from '../../../src/model/mark.ts';
import type { Family, IfName } from '../../../src/model/net.ts';

function mark(slot: number, ifname: string, family: Family = 4, mask = 0x7f): ConnectionMark {
  return { family, ifname: ifname as IfName, ...markOfSlot(slot, mask) };
}

describe('the script of nft', () => {
  test('replaces our table as a whole', () => {
    expect(renderNft([mark(0, 'eth0'), mark(1, 'eth1'), mark(1, 'eth1', 6)])).toBe(
      `table inet eni_agent { }
delete table inet eni_agent
table inet eni_agent {
  chain prerouting {
    type filter hook prerouting priority -150; policy accept;
    meta nfproto ipv4 iifname "eth0" ct state new ct mark set ct mark and 0xffffff80 or 0x0000007f comment "eni-agent:1:4:eth0:7f:7f"
    meta nfproto ipv4 iifname "eth1" ct state new ct mark set ct mark and 0xffffff80 or 0x0000007e comment "eni-agent:1:4:eth1:7e:7f"
    meta nfproto ipv6 iifname "eth1" ct state new ct mark set ct mark and 0xffffff80 or 0x0000007e comment "eni-agent:1:6:eth1:7e:7f"
    meta nfproto ipv4 iifname != "eth0" ct mark and 0x0000007f == 0x0000007f meta mark set meta mark and 0xffffff80 or 0x0000007f comment "eni-agent:1:4:eth0:7f:7f"
    meta nfproto ipv4 iifname != "eth1" ct mark and 0x0000007f == 0x0000007e meta mark set meta mark and 0xffffff80 or 0x0000007e comment "eni-agent:1:4:eth1:7e:7f"
    meta nfproto ipv6 iifname != "eth1" ct mark and 0x0000007f == 0x0000007e meta mark set meta mark and 0xffffff80 or 0x0000007e comment "eni-agent:1:6:eth1:7e:7f"
  }
}
`,
    );
  });

  test('takes it away when there is nothing to mark', () => {
    expect(renderNft([])).toBe('table inet eni_agent { }\ndelete table inet eni_agent\n');
  });

  test('counts with the upper half of the bits as well', () => {
    expect(renderNft([mark(0, 'eth0', 4, 0xf000_0000)])).toContain('ct mark and 0x0fffffff or 0xf0000000 ');
  });
});

describe('the script of iptables-restore', () => {
  const NEW = `*mangle
:ENI-AGENT - [0:0]
-A ENI-AGENT -i eni-agent-none -m recent --rcheck --name eni-agent:1:4:eth1:7e:7f
-A ENI-AGENT -i eth1 -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x7e/0x7f
-A ENI-AGENT ! -i eth1 -m connmark --mark 0x7e/0x7f -j MARK --set-xmark 0x7e/0x7f
`;
  const JUMP =
    '-I PREROUTING -i eni-agent-none -m recent --rcheck --name eni-agent:jump:4\n-I PREROUTING -j ENI-AGENT\n';

  test('makes our chain and the jump into it', () => {
    expect(renderIptables(4, [mark(1, 'eth1')], [])).toBe(`${NEW}${JUMP}COMMIT\n`);
  });

  test('replaces the chain alone where the jump is there', () => {
    expect(renderIptables(4, [mark(1, 'eth1')], [jumpTag(4)])).toBe(`${NEW}COMMIT\n`);
    expect(renderIptables(6, [mark(1, 'eth1', 6)], [jumpTag(4)])).toContain('eni-agent:jump:6');
  });

  test('takes both away', () => {
    const gone = `*mangle\n:ENI-AGENT - [0:0]\n${JUMP.replaceAll('-I', '-D').split('\n').join('\n')}-X ENI-AGENT\nCOMMIT\n`;
    expect(renderIptables(4, [], [jumpTag(4)])).toBe(gone);
    expect(renderIptables(4, [], [])).toBe('*mangle\n:ENI-AGENT - [0:0]\n-X ENI-AGENT\nCOMMIT\n');
  });
});
