import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { accepted, brief, HEAD, PAY_TO, problemsOf } from './support.ts'

const USDC_BASE_SEPOLIA = '0x036CbD53842c5426634e7929541eC2318f3dCF7e'

/** With a facilitator of which nobody knows what it serves. */
const ANYWHERE = HEAD.replace('x402-org', 'https://f.example')

describe('defaults', () => {
  const config = accepted(`${HEAD}routes: {GET /x: $0.001}`)

  it('fills in everything that the file leaves out', () => {
    expect(config).toMatchObject({
      server: {
        listen: { host: '0.0.0.0', port: 8402 },
        publicUrl: null,
        hosts: null,
        trustedProxies: [],
        limits: {
          headerBytes: 16_384,
          bodyBytes: 10_485_760,
          requestTimeoutMs: 60_000,
          replyBytesPerSecondMin: 240,
        },
        drainTimeoutMs: 30_000,
      },
      admin: { host: '127.0.0.1', port: 9402 },
      store: { kind: 'sqlite', path: '/etc/farebox/data/farebox.db' },
      facilitators: [
        { name: 'x402-org', url: 'https://x402.org/facilitator', headers: {}, timeoutMs: 10_000 },
      ],
      upstreams: [
        {
          name: 'api',
          targets: [{ origin: 'http://localhost:3000', basePath: '' }],
          ...{ http2: false, connectTimeoutMs: 5000, maxConnections: 256 },
        },
      ],
    })
    expect(config.facilitators[0]?.settleTimeoutMs).toBe(60_000)
  })

  it('gives a route that is only a price what a route needs', () => {
    expect(config.routes).toMatchObject([
      {
        key: 'GET /x',
        method: 'GET',
        path: '/x',
        upstream: 'api',
        description: null,
        mimeType: null,
        settle: 'on-response',
        billable: [
          { from: 200, to: 299 },
          { from: 301, to: 303 },
          { from: 307, to: 307 },
          { from: 308, to: 308 },
        ],
        timeoutMs: 30_000,
        cors: null,
      },
    ])
  })

  it('makes the offer that goes on the wire', () => {
    expect(config.routes[0]?.price).toEqual({
      kind: 'paid',
      offers: [
        {
          requirements: {
            scheme: 'exact',
            network: 'eip155:84532',
            amount: '1000',
            asset: USDC_BASE_SEPOLIA,
            payTo: PAY_TO,
            maxTimeoutSeconds: 120,
            extra: { name: 'USDC', version: '2' },
          },
          amount: 1000n,
          symbol: 'USDC',
          decimals: 6,
          transferMethod: 'eip3009',
          v1Network: 'base-sepolia',
        },
      ],
    })
  })
})

describe('what the operator may write', () => {
  it('keeps scalars as they are written: an address and 0.10 need no quotes', () => {
    const text = HEAD.replace(`"${PAY_TO}"`, PAY_TO.toLowerCase())
    const [route] = accepted(`${text}routes: {GET /x: {price: {USDC: 0.10}}}`).routes
    expect(route?.price).toMatchObject({
      offers: [{ amount: 100_000n, requirements: { payTo: PAY_TO } }],
    })
  })

  it('keeps responses as it is told, and takes an identifier as the route says', () => {
    const routes =
      'routes: {/a: {price: $1, replay: {}}, /b: {price: $1, replay: {for: 24h}}, /c: $1}'
    const read = (top: string) => accepted(`${HEAD}${top}${routes}`).routes
    expect(read('').map(({ replay }) => replay)).toEqual([
      { forMs: 600_000, bytesMax: 1024 ** 2 },
      { forMs: 86_400_000, bytesMax: 1024 ** 2 },
      null,
    ])
    expect(read('').map(route => route.identifierRequired)).toEqual([false, false, false])
    const strict = 'paymentIdentifier: required\n'
    expect(read(strict).map(route => route.identifierRequired)).toEqual([true, true, true])
    const lax = `routes: {/a: {price: $1, paymentIdentifier: optional}}`
    expect(accepted(HEAD + strict + lax).routes[0]?.identifierRequired).toBe(false)
  })

  it('knows a network by name, v1 name and CAIP-2 id alike', () => {
    const offers = ['base', 'eip155:8453'].map(
      name =>
        accepted(`${ANYWHERE.replace('base-sepolia', name)}routes: {/x: $1}`).routes[0]?.price,
    )
    expect(offers[0]).toEqual(offers[1])
  })

  it('says how a Permit2 token is transferred', () => {
    const config = accepted(`${ANYWHERE.replace('base-sepolia', 'megaeth')}routes: {/x: $0.001}`)
    expect(config.routes[0]?.price).toMatchObject({
      offers: [
        {
          amount: 10n ** 15n,
          transferMethod: 'permit2',
          requirements: {
            extra: { name: 'MegaUSD', version: '1', assetTransferMethod: 'permit2' },
          },
        },
      ],
    })
  })

  it('finds a token by symbol or address, and lets an entry pay somebody else', () => {
    const other = '0x857b06519E91e3A54538791bDbb0E22373e36b66'
    const usdc = '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913'
    const onBase = `{network: base, asset: ${usdc}, payTo: ${other}}`
    const accepts = `[{network: celo, asset: USDT}, ${onBase}]`
    const config = accepted(`${ANYWHERE.replace('[base-sepolia]', accepts)}routes: {/x: $1}`)
    expect(config.routes[0]?.price).toMatchObject({
      offers: [
        { symbol: 'USDT', requirements: { network: 'eip155:42220', payTo: PAY_TO } },
        { symbol: 'USDC', requirements: { network: 'eip155:8453', payTo: other } },
      ],
    })
  })

  it('reads cors of the file as the default that a route overrides', () => {
    const { routes } = accepted(`${HEAD}
cors: {origins: [https://app.example.com]}
routes: {/a: free, /b: {price: free, cors: off}, /c: {price: free, cors: {origins: ["*"]}}}`)
    expect(routes.map(route => route.cors?.origins ?? null)).toEqual([
      ['https://app.example.com'],
      null,
      ['*'],
    ])
  })

  it('needs nobody to pay and nobody to settle where everything is free', () => {
    const config = accepted('version: 1\nupstreams: {api: "http://x.example"}\nroutes: {/a: free}')
    expect(config.routes[0]?.price).toEqual({ kind: 'free' })
    expect(config.facilitators).toEqual([])
  })

  it('switches the admin listener off, and keeps the store in memory', () => {
    const config = accepted(`${HEAD}admin: off\nstore: "sqlite::memory:"\nroutes: {/a: free}`)
    expect(config.admin).toBeNull()
    expect(config.store).toMatchObject({ kind: 'sqlite', path: ':memory:' })
  })

  it('runs one process unless the file says more, and never several without a store to share', () => {
    const workers = (server: string, store: string): string =>
      `${HEAD}server: {${server}}\nstore: "${store}"\nroutes: {/a: free}`
    expect(accepted(workers('', 'sqlite::memory:')).server.workers).toBe(1)
    expect(accepted(workers('workers: 64', 'sqlite:./a.db')).server.workers).toBe(64)
    expect(accepted(workers('workers: 2', 'postgres://u@h/d')).server.workers).toBe(2)
    expect(brief(problemsOf(workers('workers: 2', 'sqlite::memory:')))).toEqual([
      expect.stringMatching(/^6:\d+ server\.workers: needs a store that processes can share/),
    ])
    for (const count of ['0', '65', '1.5', 'many']) {
      expect(problemsOf(workers(`workers: ${count}`, 'sqlite:./a.db'))).toHaveLength(1)
    }
  })

  it('takes the slash off the end of a base URL, and keeps its path', () => {
    const text = HEAD.replace('http://localhost:3000', 'http://LOCALHOST:3000/api/')
    expect(accepted(`${text}routes: {/a: free}`).upstreams[0]?.targets).toEqual([
      {
        ...{ name: 'http://localhost:3000', origin: 'http://localhost:3000' },
        ...{ basePath: '/api', socketPath: null },
      },
    ])
  })

  it('gives two facilitators on one host two names', () => {
    const list =
      '["https://f.example/a", {url: "https://f.example/b", headers: {X-Key: k}, timeout: 3s}]'
    const { facilitators } = accepted(`${HEAD.replace('[x402-org]', list)}routes: {/a: free}`)
    expect(facilitators.map(({ name }) => name)).toEqual(['f.example', 'f.example#2'])
    expect(facilitators[1]).toMatchObject({ headers: { 'x-key': 'k' }, timeoutMs: 3000 })
  })

  it('makes single addresses ranges', () => {
    const ranges = '[10.0.0.0/8, 192.0.2.7, "fd00::/8"]'
    const text = `${HEAD}server: {trustedProxies: ${ranges}}\nroutes: {/a: free}`
    expect(accepted(text).server.trustedProxies).toEqual(['10.0.0.0/8', '192.0.2.7/32', 'fd00::/8'])
  })

  it.each([
    ['{}', null],
    ['{publicUrl: "https://API.example.com:8443"}', ['api.example.com']],
    ['{publicUrl: "https://[2001:db8::1]"}', ['[2001:db8::1]']],
    ['{hosts: [API.example.com, my_service]}', ['api.example.com', 'my_service']],
    ['{publicUrl: "https://a.example", hosts: [b.example]}', ['b.example']],
    ['{publicUrl: "https://a.example", hosts: ["*"]}', null],
  ])('callers of %s may ask for %j', (server, hosts) => {
    const text = `${HEAD}server: ${server}\nroutes: {/a: free}`
    expect(accepted(text).server.hosts).toEqual(hosts)
  })

  it('repeats what an alias stands for', () => {
    const routes = 'routes: {/a: &r {price: $1, timeout: 9s}, /b: *r}'
    expect(accepted(`${HEAD}${routes}`).routes.map(route => route.timeoutMs)).toEqual([9000, 9000])
  })
})

describe('files', () => {
  it('reads a file and its secret files, and names them all', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'farebox-load-'))
    const file = join(directory, 'gateway.yaml')
    writeFileSync(join(directory, 'key'), 'se: cr{et}\n')
    writeFileSync(
      file,
      HEAD.replace(
        '"http://localhost:3000"',
        `{url: "http://localhost:3000", headers: {x-key: "Key \${file:key} \${ID}"}}`,
      ).concat('routes: {/a: free}'),
    )
    const result = await loadConfig(file, { env: { ID: '# 7' } })
    expect(result).toMatchObject({ kind: 'loaded', files: [file, join(directory, 'key')] })
    if (result.kind !== 'loaded') return
    expect(result.config.upstreams[0]?.headers).toEqual({ 'x-key': 'Key se: cr{et} # 7' })
    const path = join(directory, 'data/farebox.db')
    expect(result.config.store).toMatchObject({ kind: 'sqlite', path })
  })

  it.each([
    ['a file that does not exist', () => '/nowhere/gateway.yaml', 'does not exist'],
    ['a directory', () => tmpdir(), 'is not a plain file'],
    ['a device, which would never end', () => '/dev/zero', 'is not a plain file'],
    ['a file that is too large', () => temporary(Buffer.alloc(1024 * 1024 + 1, 0x20)), 'larger'],
    ['bytes that are not UTF-8', () => temporary(Buffer.from([0x61, 0xff])), 'not UTF-8'],
  ])('refuses %s', async (_, create, message) => {
    const file = create()
    const result = await loadConfig(file, { env: {} })
    expect(result).toMatchObject({ kind: 'invalid', problems: [{ file, line: 1, column: 1 }] })
    if (result.kind === 'invalid') expect(result.problems[0]?.message).toContain(message)
  })
})

function temporary(content: Buffer): string {
  const file = join(mkdtempSync(join(tmpdir(), 'farebox-load-')), 'gateway.yaml')
  writeFileSync(file, content)
  return file
}
