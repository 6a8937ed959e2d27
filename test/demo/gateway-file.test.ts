import { access, readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { writeGatewayFile } from '../../demo/gateway-file.ts'

test('the file is YAML that names the parts it was written for, and can be removed', async () => {
  const file = await writeGatewayFile({
    payTo: '0x0000000000000000000000000000000000000001',
    facilitatorUrl: 'http://127.0.0.1:1',
    upstreamUrl: 'http://127.0.0.1:2',
  })
  const text = await readFile(file.path, 'utf8')
  expect(parse(text, { schema: 'failsafe' })).toEqual({
    version: '1',
    payTo: '0x0000000000000000000000000000000000000001',
    accepts: ['base-sepolia'],
    facilitators: ['http://127.0.0.1:1'],
    server: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0' },
    store: { url: 'sqlite::memory:' },
    upstreams: { weather: { url: 'http://127.0.0.1:2' } },
    routes: {
      'GET /v1/weather/{city}': '$0.001',
      'GET /v1/forecast/{city}/stream': '$0.01',
      'POST /v1/report': { price: '$0.25', description: 'A month of weather for one city' },
      'GET /v1/broken': '$0.001',
      '/health': 'free',
    },
  })
  await file.remove()
  await expect(access(file.path)).rejects.toThrow('ENOENT')
})
