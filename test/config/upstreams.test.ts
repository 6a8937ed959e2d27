import { describe, expect, it } from 'vitest'
import type { UpstreamConfig } from '../../src/config/gateway-config.ts'
import { accepted, brief, problemsOf } from './support.ts'

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
