/** As much of EC2's metadata service as amazon-ec2-net-utils asks for an ENI: `imds.ts ADDRESS MAC IP…`, on port 80. */
import { createServer } from 'node:http';

const [address = '', mac = '', ...ips] = process.argv.slice(2);
const NIC = `network/interfaces/macs/${mac}`;
const VALUES: Readonly<Record<string, string>> = {
  mac: '02:00:00:00:00:01',
  [`${NIC}/device-number`]: '1',
  [`${NIC}/interface-id`]: 'eni-0123456789abcdef0',
  [`${NIC}/local-ipv4s`]: ips.join('\n'),
};

createServer((request, response) => {
  const key = (request.url ?? '').replace('/latest/meta-data/', '');
  const body = request.method === 'PUT' ? 'a-token' : VALUES[key];
  response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'text/plain' });
  response.end(body);
}).listen(80, address, () => console.log('listening'));
