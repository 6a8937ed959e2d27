import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:tls'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { alternativeNames, certificateNames } from '../../src/http/certificate-names.ts'
import {
  type Certificate,
  type CertificateAuthority,
  createAuthority,
  selfSigned,
} from '../support/certificates.ts'

let authority: CertificateAuthority
let server: ReturnType<typeof createServer>

beforeAll(async () => {
  authority = await createAuthority()
  const own = await authority.issue()
  const ask = { requestCert: true, rejectUnauthorized: false, ca: authority.cert }
  server = createServer({ ...own, ...ask }, socket => {
    socket.end(JSON.stringify(certificateNames(socket)))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
})

afterAll(() => void server.close())

/** What the server reads of a client that shows this certificate. */
async function namesRead(shown: Partial<Certificate>): Promise<string[]> {
  const { port } = server.address() as AddressInfo
  const socket = connect({ port, host: '127.0.0.1', ca: authority.cert, ...shown })
  const chunks: Buffer[] = await socket.toArray()
  return JSON.parse(Buffer.concat(chunks).toString())
}

test('a verified certificate is read: DNS and URI names, then the common name, each once', async () => {
  const wanted = {
    name: 'billing',
    dns: ['billing.example.com', 'billing'],
    uris: ['spiffe://example.com/billing'],
  }
  expect(await namesRead(await authority.issue(wanted))).toEqual([
    'billing.example.com',
    'billing',
    'spiffe://example.com/billing',
  ])
})

test('a certificate that another authority has signed has no names', async () => {
  const stranger = await createAuthority('Another CA')
  expect(await namesRead(await stranger.issue({ name: 'billing' }))).toEqual([])
  expect(await namesRead(await selfSigned('billing'))).toEqual([])
})

test('a client without a certificate, and a connection without TLS, have no names', async () => {
  expect(await namesRead({})).toEqual([])
  const plain = {} as Socket
  expect(certificateNames(plain)).toEqual([])
})

test('a name that is written to look like two is one name', async () => {
  const uris = ['spiffe://a/x, DNS:admin.example.com']
  const names = await namesRead(await authority.issue({ name: 'x', dns: ['x'], uris }))
  expect(names).not.toContain('admin.example.com')
  expect(names).toContain(uris[0])
})

test('a list of names that is not understood to its end is not believed', () => {
  expect(alternativeNames('DNS:a.example, IP Address:127.0.0.1, URI:urn:b')).toEqual([
    'a.example',
    'urn:b',
  ])
  expect(alternativeNames('DNS:a.example, DNS:"broken')).toEqual([])
  expect(alternativeNames('DNS:a.example,DNS:admin')).toEqual([])
})

test('no text makes the reader throw, and no name in quotes becomes two', () => {
  const written = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom(...'DNS:URI, "\\\\u0041a') }),
  )
  fc.assert(fc.property(written, text => Array.isArray(alternativeNames(text))))
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme-ascii' })), names => {
      const text = names.map(name => `URI:${JSON.stringify(name)}`).join(', ')
      expect(alternativeNames(text)).toEqual(names)
    }),
  )
})
