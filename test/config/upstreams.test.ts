import { mkdtempSync, realpathSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { UpstreamConfig } from '../../src/config/gateway-config.ts'
import { filesNamedIn } from '../../src/config/named-files.ts'
import { type Certificate, createAuthority } from '../support/certificates.ts'
import { accepted, brief, problemsOf, read } from './support.ts'

const yaml = (upstream: string): string =>
  `version: 1\nupstreams:\n  api: ${upstream}\nroutes: {/a: free}\n`
const upstreamOf = (upstream: string): UpstreamConfig | undefined =>
  accepted(yaml(upstream)).upstreams[0]

describe('a Unix socket', () => {
  it.each([
    ['unix:/run/api.sock', '/run/api.sock', ''],
    ['unix:/run/api.sock:/base/', '/run/api.sock', '/base'],
    ['unix:./api.sock:/', '/etc/farebox/api.sock', ''],
  ])('%s', (url, socketPath, basePath) => {
    expect(upstreamOf(`"${url}"`)?.targets).toEqual([
      { name: `unix:${socketPath}`, origin: 'http://localhost', basePath, socketPath },
    ])
  })

  it.each([
    ['unix:', 'is not the path of a Unix socket'],
    ['unix:/a:b', 'is not the path of a Unix socket'],
    ['unix:/a:/b?c', 'is not the path of a Unix socket'],
    [`unix:/${'a'.repeat(107)}`, 'names a socket whose path is longer than 107 bytes'],
  ])('%s is refused', (url, message) => {
    expect(brief(problemsOf(yaml(`{url: "${url}"}`)))).toEqual([
      expect.stringContaining(`upstreams.api.url: ${message}`),
    ])
  })
})

describe('several servers', () => {
  it('have names of their own, and keys in their paths stay out of them', () => {
    const list = '["http://a:1/key-1", "http://a:1/key-2", "unix:/run/b.sock"]'
    expect(upstreamOf(`{url: ${list}}`)?.targets.map(({ name }) => name)).toEqual([
      'http://a:1',
      'http://a:1#2',
      'unix:/run/b.sock',
    ])
  })

  it('are each said to be wrong', () => {
    const list = '["http://a", "HTTP://a:80/", "ftp://b", "unix:"]'
    expect(brief(problemsOf(yaml(`{url: ${list}}`)))).toEqual([
      '3:27 upstreams.api.url[1]: is the same as entry 0 of this list',
      '3:43 upstreams.api.url[2]: is not an http or https URL',
      '3:54 upstreams.api.url[3]: is not the path of a Unix socket',
    ])
    expect(problemsOf(yaml('{url: []}'))).toHaveLength(1)
  })
})

describe('a health check', () => {
  it('has times of its own', () => {
    expect(upstreamOf('{url: "http://a", health: {path: /healthz}}')?.health).toEqual({
      path: '/healthz',
      intervalMs: 10_000,
      timeoutMs: 2_000,
    })
  })

  it.each([
    ['{path: /a/../b}', 'health.path: is not a path that can be asked for'],
    ['{path: healthz}', 'health.path: is not a path that can be asked for'],
    ['{path: /a, interval: 1s, timeout: 2s}', 'health.timeout: is longer than the interval'],
  ])('%s is refused', (health, problem) => {
    expect(brief(problemsOf(yaml(`{url: "http://a", health: ${health}}`)))).toEqual([
      expect.stringContaining(`upstreams.api.${problem}`),
    ])
  })
})

describe('tls', () => {
  let folder: string
  let pair: Certificate
  const tls = (text: string): string => yaml(`{url: "https://a", tls: ${text}}`)
  const problems = (text: string): string[] => {
    const loaded = read(text, {}, folder)
    return loaded.kind === 'invalid' ? brief(loaded.problems) : []
  }

  beforeAll(async () => {
    const authority = await createAuthority()
    pair = await authority.issue()
    const files = {
      'ca.crt': authority.cert,
      'own.crt': pair.cert,
      'own.key': pair.key,
      'other.key': (await authority.issue()).key,
      'old.crt': (await authority.issue({ notAfter: new Date(Date.now() - 1_000) })).cert,
    }
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'farebox-upstream-tls-')))
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  })

  it('is read with the configuration, and its files are watched', () => {
    const text = tls('{ca: ca.crt, cert: own.crt, key: own.key, serverName: API.internal}')
    const loaded = read(text, {}, folder)
    expect(loaded.kind === 'loaded' && loaded.config.upstreams[0]?.tls).toMatchObject({
      ca: expect.stringContaining('BEGIN CERTIFICATE'),
      identity: pair,
      serverName: 'api.internal',
    })
    expect(filesNamedIn(text, { env: {}, directory: folder })).toEqual(
      ['ca.crt', 'own.crt', 'own.key'].map(name => join(folder, name)),
    )
  })

  it.each([
    ['{ca: gone.crt}', 'tls.ca: names a file that does not exist'],
    ['{ca: own.key}', 'tls.ca: names a file in which nothing of the kind can be read'],
    ['{cert: own.crt}', 'tls.cert: stands without its key'],
    ['{key: own.key}', 'tls.key: stands without its cert'],
    ['{cert: own.crt, key: other.key}', 'tls.key: is not the key of the certificate in upstreams'],
    ['{serverName: 10.0.0.1}', 'tls.serverName: "10.0.0.1" is not the name of a host'],
  ])('%s is refused', (text, problem) => {
    expect(problems(tls(text))).toEqual([expect.stringContaining(`upstreams.api.${problem}`)])
  })

  it('that has expired, or has nothing to be for, is refused', () => {
    expect(problems(tls('{cert: old.crt, key: own.key}'))).toEqual([
      expect.stringContaining('upstreams.api.tls.cert: names a certificate that expired'),
      expect.stringContaining('upstreams.api.tls.key: is not the key'),
    ])
    expect(problems(yaml('{url: "http://a", tls: {ca: ca.crt}}'))).toEqual([
      expect.stringContaining('upstreams.api.tls: is for https, and no server'),
    ])
  })
})
