import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createAuthority } from '../support/certificates.ts'
import { runCli } from './run-cli.ts'

const FILE = `version: 1
server: {workers: 2}
upstreams:
  plain: http://localhost:3000
  sealed:
    url: [https://10.0.0.1:8443/api, https://api.internal]
    tls:
      ca: ca.crt
      cert: "\${CERT}"
      key: own.key
      serverName: api.internal
    health: {path: /healthz, timeout: 1s}
    maxQueue: 5
  public: https://api.example
routes:
  /plain: {price: free, upstream: plain}
  /open: {price: free, upstream: plain, websocket: true}
  /sealed: {price: free, upstream: sealed, websocket: {maxDuration: 5m, maxOpen: 3}}
  /public: {price: free, upstream: public}
  /here: {price: free, respond: {body: hello}}
`
const folder = mkdtempSync(join(tmpdir(), 'farebox-explain-'))
const file = join(folder, 'gateway.yaml')

beforeAll(async () => {
  const authority = await createAuthority()
  const { cert, key } = await authority.issue()
  const files = { 'ca.crt': authority.cert, 'own.crt': cert, 'own.key': key, 'gateway.yaml': FILE }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
})

interface Fact {
  readonly topic: string
  readonly name: string
  readonly value: string
  readonly from: { readonly item: string } | null
}

/** By topic: what is said of it, and where that is written. */
async function explain(request: string): Promise<Record<string, string[]>> {
  const outcome = await runCli(['explain', request, '-c', file], { CERT: 'own.crt' })
  expect(outcome).toMatchObject({ code: 0, stderr: '' })
  const facts: Fact[] = JSON.parse(outcome.stdout).facts
  const topics: Record<string, string[]> = {}
  for (const { topic, name, value, from } of facts) {
    topics[topic] ??= []
    topics[topic]?.push(`${name}: ${value} <- ${from?.item ?? 'default'}`)
  }
  return topics
}

describe('explain tells of a route', () => {
  test('how the servers of its upstream are checked, and by whom', async () => {
    const { 'UPSTREAM HEALTH': checked } = await explain('GET /sealed')
    expect(checked).toEqual([
      'a server is checked by: GET /healthz <- upstreams.sealed.health.path',
      'every: 10s <- default',
      'answers within: 1s <- upstreams.sealed.health.timeout',
      'judged by: each of 2 workers, for itself <- server.workers',
    ])
    const { 'UPSTREAM HEALTH': unchecked } = await explain('GET /plain')
    expect(unchecked?.[0]).toBe(
      'a server is checked by: a connection, once it is out of use <- default',
    )
  })

  test('whom it trusts to be its upstream, and what it shows', async () => {
    const { 'UPSTREAM TLS': sealed } = await explain('GET /sealed')
    expect(sealed).toEqual([
      'trusts: ca.crt <- upstreams.sealed.tls.ca',
      'asks for the name: api.internal <- upstreams.sealed.tls.serverName',
      'shows: (secret) <- upstreams.sealed.tls.cert',
      'whose key is in: own.key <- upstreams.sealed.tls.key',
    ])
    const { 'UPSTREAM TLS': open } = await explain('GET /public')
    expect(open).toEqual([
      'trusts: the public authorities <- default',
      'asks for the name: api.example <- default',
      'shows: no certificate <- default',
    ])
    expect(await explain('GET /plain')).not.toHaveProperty('UPSTREAM TLS')
  })

  test('what becomes of a WebSocket handshake', async () => {
    const at = 'routes."/sealed".websocket'
    const { WEBSOCKET: limited } = await explain('GET /sealed')
    expect(limited).toEqual([
      `a handshake: opens a tunnel <- ${at}`,
      `stays open for: 5m <- ${at}.maxDuration`,
      'carries up to: 100MiB <- default',
      'is silent for: 1m <- default',
      `open at once, for each process: 3 <- ${at}.maxOpen`,
    ])
    const { WEBSOCKET: open } = await explain('GET /open')
    expect(open?.slice(0, 2)).toEqual([
      'a handshake: opens a tunnel <- routes."/open".websocket',
      'stays open for: 1h <- default',
    ])
    const { WEBSOCKET: none } = await explain('GET /plain')
    expect(none).toEqual(['a handshake: is a plain request <- default'])
  })

  test('each of these once, and none where it answers by itself', async () => {
    const { 'ALSO WRITTEN': rest } = await explain('GET /sealed')
    expect(rest).toEqual(['maxQueue: 5 <- upstreams.sealed.maxQueue'])
    const here = Object.keys(await explain('GET /here'))
    expect(here.filter(topic => /UPSTREAM|WEBSOCKET/.test(topic))).toEqual([])
  })
})
