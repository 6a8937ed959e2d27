import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RouteConfig } from '../../src/config/gateway-config.ts'
import { accepted, brief, HEAD, problemsOf, read } from './support.ts'

const routesOf = (routes: string, top = ''): readonly RouteConfig[] =>
  accepted(`${HEAD}${top}\nroutes:\n${routes}`).routes

describe('rewrite', () => {
  it('is a template, a prefix, or the default where the path begins with it', () => {
    const routes = routesOf(
      `  GET /v1/weather/{city}: {price: free, rewrite: "/in/{city}"}
  /v1/a/*: {price: free, rewrite: {stripPrefix: /v1/a}}
  /v1/b: free
  /v1/c: {price: free, rewrite: off}
  /v10/d: free`,
      'rewrite: {stripPrefix: /v1}',
    )
    expect(routes.map(({ rewrite }) => rewrite)).toEqual([
      { kind: 'template', template: '/in/{city}' },
      { kind: 'strip-prefix', prefix: '/v1/a' },
      { kind: 'strip-prefix', prefix: '/v1' },
      null,
      null,
    ])
  })
})

describe('headers', () => {
  it('of a route beat those of the file name by name, in any spelling', () => {
    const [route] = routesOf(
      '  /a: {price: free, headers: {request: {set: {X_Team: own}}, response: {remove: [Server]}}}',
      'headers: {request: {set: {x-team: all, x-from: us}, remove: [cookie]}, response: {set: {server: x}}}',
    )
    expect(route?.headers).toEqual({
      request: { set: { 'x-from': 'us', x_team: 'own' }, remove: ['cookie'] },
      response: { set: {}, remove: ['server'] },
    })
  })
})

describe('answers without an API', () => {
  it('have a type, and no upstream', () => {
    const [plain, typed] = routesOf(
      `  /robots.txt: {price: free, respond: {body: "User-agent: *"}}
  /a: {price: $1, mimeType: application/json, respond: {status: 201, body: "{}", headers: {X-A: b}}}
  /b: {price: free, redirect: {to: "https://docs.example/b", status: 308}}`,
    )
    expect(plain).toMatchObject({ upstream: null, answer: { kind: 'respond', status: 200 } })
    expect(plain?.answer).toMatchObject({
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    })
    expect(typed?.answer).toMatchObject({
      ...{ status: 201, body: new Uint8Array(Buffer.from('{}')) },
      headers: { 'content-type': 'application/json', 'x-a': 'b' },
    })
  })

  it('are read from a file beside the configuration', () => {
    const folder = mkdtempSync(join(tmpdir(), 'farebox-respond-'))
    writeFileSync(join(folder, 'report.pdf'), Buffer.from([0, 255, 1]))
    const text = `${HEAD}routes: {/a: {price: $1, respond: {file: report.pdf}}}`
    const loaded = read(text, {}, folder)
    expect(loaded).toMatchObject({
      kind: 'loaded',
      config: { routes: [{ answer: { body: new Uint8Array([0, 255, 1]) } }] },
    })
  })
})

describe('what cannot be meant', () => {
  it.each([
    ['rewrite: x', '/a: rewrite: "x" is not a path that the API can be asked for'],
    ['rewrite: "/{b}"', '/a: rewrite: "/{b}" is not a path that the API can be asked for'],
    [
      'rewrite: {stripPrefix: /b}',
      '/a: rewrite.stripPrefix: the route\'s path does not begin with "/b"',
    ],
    [
      'rewrite: {stripPrefix: "/a/"}',
      '/a: rewrite.stripPrefix: "/a/" is not the beginning of a path',
    ],
    [
      'headers: {request: {set: {Connection: close}}}',
      '/a: headers.request.set.Connection: is set by the connection and cannot be set here',
    ],
    [
      'headers: {response: {set: {payment_response: x}}}',
      '/a: headers.response.set.payment_response: is a header that only farebox sets',
    ],
    [
      'headers: {request: {remove: [x_payment]}}',
      '/a: headers.request.remove[0]: is a header that only farebox sets',
    ],
    [
      'headers: {request: {set: {Host: x}}}',
      '/a: headers.request.set.Host: is chosen by the upstream',
    ],
    [
      'headers: {request: {set: {x-a: b}, remove: [X_A]}}',
      '/a: headers.request.remove[0]: is named twice: neither letter case nor the kind of dash makes another header',
    ],
    [
      'headers: {response: {set: {x-a: "b\\r\\nset-cookie: c"}}}',
      '/a: headers.response.set.x-a: has a value with a line break, a space around it or a character beyond ASCII',
    ],
    [
      'respond: {body: a, file: b}',
      '/a: respond.file: cannot stand beside body: an answer has one body',
    ],
    [
      'respond: {file: missing.pdf}',
      '/a: respond.file: needs the file "missing.pdf", which does not exist',
    ],
    ['respond: {}, upstream: api', '/a: upstream: has no meaning beside respond: no API is asked'],
    ['redirect: {to: ftp://x}', '/a: redirect.to: "ftp://x" is not where a request can be sent'],
    ['redirect: {to: "//x"}', '/a: redirect.to: "//x" is not where a request can be sent'],
    [
      'redirect: {to: "https://{b}.example/"}',
      '/a: redirect.to: "https://{b}.example/" is not where a request can be sent',
    ],
    [
      'redirect: {to: "https://user@x/"}',
      '/a: redirect.to: "https://user@x/" is not where a request can be sent',
    ],
    [
      'cors: {origins: ["*"], credentials: true}',
      '/a: cors.credentials: cannot be on for every web page',
    ],
    [
      'cors: {origins: ["https://*.example.com"]}',
      '/a: cors.origins[0]: "https://*.example.com" is not a web origin',
    ],
    [
      'cors: {origins: ["*"], exposeHeaders: ["a b"]}',
      '/a: cors.exposeHeaders[0]: is not the name of a header',
    ],
  ])('%s', (setting, problem) => {
    const problems = problemsOf(`${HEAD}routes: {/a: {price: free, ${setting}}}`)
    const said = problems.map(({ item, message }) => `${item}: ${message}`)
    expect(said).toEqual([problem.replace('/a: ', 'routes."/a".')])
  })

  it.each([
    ['rateLimit: 100', 'Write off or a map of requests, per, by.'],
    ['cors: on', 'Write off or a map of origins, credentials, exposeHeaders, maxAge.'],
    ['redirect: https://a.example/', 'Write a map of to, status.'],
    ['respond: ok', 'Write a map of status, body, file, headers.'],
  ])('is %s, with the keys of the form that was meant', (setting, cure) => {
    const problems = problemsOf(`${HEAD}routes: {/a: {price: free, ${setting}}}`)
    expect(problems).toMatchObject([{ item: expect.stringMatching(/^routes\."\/a"\./), cure }])
  })

  it('is a priced redirect', () => {
    const text = `${HEAD}routes: {/a: {price: $1, redirect: {to: /b}}}`
    expect(brief(problemsOf(text))).toEqual([
      expect.stringContaining('routes."/a".price: a redirect cannot be priced'),
    ])
  })

  it('is a rule that something else overrules', () => {
    const upstream = 'upstreams: {api: {url: "http://a", headers: {X-Key: k}}}'
    const text = `${HEAD.replace(/upstreams.*/, upstream)}
headers: {response: {remove: [vary], set: {access-control-max-age: "1"}}}
cors: {origins: ["*"]}
routes: {/a: {price: $1, replay: {}, headers: {request: {set: {x_key: mine}}}}}`
    expect(problemsOf(text).map(({ item, message }) => `${item}: ${message}`)).toEqual([
      'headers.response: access-control-max-age is decided by cors, which is on here',
      'headers.response: vary tells replay whom a response may be given to again',
      'routes."/a".headers.request: x_key is set by upstreams.api as well, whose headers come last',
    ])
  })

  it.each([['http://a', 'a b', '"a b" is not the name of a host']])(
    'is for %s the host %s',
    (url, host, message) => {
      const text = HEAD.replace(/upstreams.*/, `upstreams: {api: {url: "${url}", host: "${host}"}}`)
      expect(problemsOf(`${text}routes: {/a: free}`)).toMatchObject([
        { item: 'upstreams.api.host', message },
      ])
    },
  )
})

describe('shadow mode', () => {
  it('is for priced routes, and said aloud where it is written', () => {
    const loaded = read(`${HEAD}mode: shadow
routes:
  /a: $1
  /b: {price: $1, mode: enforce}
  /c: free
  /d: {price: $1, mode: shadow}`)
    if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems))
    const { config, notes } = loaded
    expect(config.routes.map(({ mode }) => mode)).toEqual([
      ...['shadow', 'enforce', 'enforce', 'shadow'],
    ])
    expect(notes).toMatchObject([
      { line: 6, message: expect.stringMatching(/^SHADOW MODE.* for nothing: 1$/) },
      { line: 11, item: 'routes."/d".mode', message: expect.stringContaining('SHADOW MODE') },
    ])
  })
})
