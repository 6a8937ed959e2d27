import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { createAuthority } from '../support/certificates.ts'
import { asResponse, collect, requestTo, send, upstreamAt } from './harness.ts'

test('TLS goes by the URL, whatever Host is sent, over one connection', async () => {
  const authority = await createAuthority()
  setDefaultCACertificates([...getCACertificates('default'), authority.cert])
  const { cert, key } = await authority.issue({ name: 'localhost' })
  const seen: unknown[] = []
  const server = createServer({ cert, key }, ({ headers, socket }, response) => {
    const { servername, remotePort } = socket as TLSSocket // node:https has no others
    seen.push({ host: headers.host, servername, remotePort })
    response.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  const upstream = upstreamAt(`https://localhost:${port}`, { maxConnections: 1 })
  for (const host of ['shop.example', 'other.example']) {
    const request = requestTo('/', { addedHeaders: ['Host', host] })
    await collect(asResponse(await send(upstream, request)).body)
  }
  const [first] = seen as { remotePort: number }[] // as pushed above
  const rest = { servername: 'localhost', remotePort: first?.remotePort }
  expect(seen).toEqual([
    { host: 'shop.example', ...rest },
    { host: 'other.example', ...rest },
  ])
  await upstream.close()
  server.close()
})
