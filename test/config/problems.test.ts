import { describe, expect, it } from 'vitest'
import { formatPath, formatProblem } from '../../src/config/problems.ts'
import { brief, HEAD, PAY_TO, problemsOf } from './support.ts'

/** HEAD has five lines, so what follows it starts on line 6. */
const ROUTE = 'routes: {/a: free}\n'

describe('places', () => {
  it('points at the value of a shorthand, and at the key of a map', () => {
    const text = `${HEAD}routes:\n  GET /a: $0.0000001\n  GET /b: {price: $0}\n`
    expect(brief(problemsOf(text))).toEqual([
      '7:11 routes."GET /a": "$0.0000001" is finer than USDC can carry',
      '8:19 routes."GET /b".price: "$0" is a price of zero',
    ])
  })

  it('points at what should hold something that is missing', () => {
    const text = `${HEAD}routes:\n  /a:\n    timeout: 1s\n`
    expect(brief(problemsOf(text))).toEqual(['7:3 routes."/a".price: is missing'])
  })

  it('counts the entries of a list as the file has them, whatever was wrong before', () => {
    const text = `${HEAD.replace('[base-sepolia]', '[[], {asset: USDC}, basee]')}${ROUTE}`
    expect(brief(problemsOf(text))).toEqual([
      '3:11 accepts[0]: cannot be a list',
      '3:15 accepts[1].network: is missing',
      '3:30 accepts[2]: "basee" is not a network that farebox knows',
    ])
  })

  it('writes file, line, column, item, what is wrong and the cure', () => {
    const [problem] = problemsOf(`${HEAD}${ROUTE}adnim: off\n`)
    expect(problem && formatProblem(problem)).toBe(
      'gateway.yaml:7:1: adnim: is not a key that farebox knows here\n    Did you mean admin?',
    )
  })

  it('wants a price where something is said of retries', () => {
    const text = `${HEAD}routes:\n  /a: {price: free, replay: {}, paymentIdentifier: required}\n`
    expect(brief(problemsOf(text))).toEqual([
      '7:21 routes."/a".replay: has no meaning on a free route',
      '7:33 routes."/a".paymentIdentifier: has no meaning on a free route',
    ])
  })

  it('bounds what is kept of responses', () => {
    const replays = ['{for: 25h}', '{maxBytes: 17MiB}', '{maxBytes: 0B}', '{size: 1B}']
    const text = replays.map((replay, at) => `  /${at}: {price: $1, replay: ${replay}}\n`).join('')
    expect(problemsOf(`${HEAD}routes:\n${text}`).map(({ message }) => message)).toEqual([
      ...[
        '"25h" is too long',
        '"17MiB" is too large',
        '"0B" is too small',
        'is not a key that farebox knows here',
      ],
    ])
  })

  it('quotes keys that are not plain names', () => {
    expect(formatPath(['routes', 'GET /a "b"', 'accepts', 0, 'payTo'])).toBe(
      'routes."GET /a \\"b\\"".accepts[0].payTo',
    )
  })

  it('lets no control character of the file reach the terminal', () => {
    const [problem] = problemsOf(`${HEAD}${ROUTE}"a\\e[31m\\u202eb": 1\n`)
    const shown = problem === undefined ? '' : formatProblem(problem)
    expect(shown).toContain('is not a key')
    expect([...shown].filter(character => /[^\P{C}\n]/u.test(character))).toEqual([])
  })
})

describe('all at once', () => {
  it('reports problems of form and of meaning together, in the order of the file', () => {
    const text = `version: 1
payTo: "0x209693Bc6afc0C5328bA36FaF03C514EF312287c"
accepts: [base-sepolya]
facilitators: [payia]
upstreams: {api: "localhost:3000"}
server: {listen: nowhere, limits: {bodyBytes: 10MB}}
routes:
  get /a: free
  /b: {price: "1", upstrem: api}
  /c: {price: $1, settle: later, billable: [9xx]}
`
    expect(problemsOf(text).map(problem => problem.line)).toEqual([
      2, 3, 4, 5, 6, 6, 8, 9, 9, 10, 10,
    ])
  })

  it('does not blame what refers to something for what is wrong with that', () => {
    const text = `version: 1
payTo: [${PAY_TO}]
accepts: base
facilitators: {payai: yes}
upstreams: {api: {url: ""}}
routes: {/a: {price: $1, upstream: api}}
`
    expect(problemsOf(text).map(problem => problem.item)).toEqual([
      'payTo',
      'accepts',
      'facilitators',
      'upstreams.api.url',
    ])
  })

  it('reports what an alias repeats once', () => {
    const text = `${HEAD}routes: {/a: &r {price: $1, timeout: never}, /b: *r, /c: *r}\n`
    expect(brief(problemsOf(text))).toEqual(['6:38 routes."/a".timeout: "never" is not a duration'])
  })

  it('says what a map lacks, and not that it is none of the forms that it would be without it', () => {
    const text = `${HEAD}routes: {/a: free}\n`.replace(
      /facilitators:.*/,
      'facilitators: [{local: {}}]',
    )
    const missing = 'facilitators[0].local.networks: is missing'
    expect(brief(problemsOf(text))).toEqual([expect.stringContaining(missing)])
  })

  it('survives a hundred and fifty thousand unknown keys', () => {
    const keys = Array.from({ length: 150_000 }, (_, index) => `${index.toString(36)}:\n`).join('')
    expect(problemsOf(keys)).toHaveLength(100)
  }, 60_000)

  it('stops at a hundred', () => {
    const routes = Array.from({ length: 300 }, (_, index) => `  /r${index}: $0\n`).join('')
    expect(problemsOf(`${HEAD}routes:\n${routes}`)).toHaveLength(100)
  })
})

describe('the file as a whole', () => {
  it.each([
    ['an empty file', '', '1:1 : the file is empty'],
    ['only a comment', '# nothing\n', '1:1 : the file is empty'],
    ['text', 'hello', '1:1 : must be a map, not text'],
    ['a list', '- a\n', '1:1 : must be a map'],
    ['two documents', `${HEAD}${ROUTE}---\na: b\n`, '7:1 : the file holds several documents'],
    ['a tab', `${HEAD}routes:\n\t/a: free\n`, '7:1 : a tab is used for indentation'],
    ['a tag', `${HEAD}routes: {/a: !!float 1}\n`, '6:14 : a tag (!) means nothing here'],
    [
      'an alias of nothing',
      `${HEAD}routes: {/a: *b}\n`,
      '6:14 routes."/a": is an alias of nothing',
    ],
    ['a key twice', `${HEAD}${ROUTE}version: 1\n`, '7:1 version: is written twice'],
    ['a key that is a list', `${HEAD}${ROUTE}? [a]\n: b\n`, '7:3 : has a key that is not a name'],
    ['a prototype', `${HEAD}${ROUTE}__proto__: {a: b}\n`, '7:1 : has a key that is not a name'],
    [
      'a merge key',
      `${HEAD}${ROUTE}<<: {a: b}\n`,
      '7:1 "<<": is not a key that farebox knows here',
    ],
    ['no version', HEAD.slice(11) + ROUTE, '1:1 version: is missing'],
    [
      'a version of the future',
      `${HEAD.slice(11)}${ROUTE}version: 2\n`,
      '6:10 version: "2" is not allowed here',
    ],
  ])('refuses %s', (_, text, expected) => {
    expect(brief(problemsOf(text))).toContain(expected)
  })

  it('refuses aliases that stand for billions of nodes, at once', () => {
    const levels = Array.from({ length: 12 }, (_, level) => {
      const inner = level === 0 ? 'x' : `*a${level - 1}`
      return `a${level}: &a${level} [${Array(9).fill(inner).join(', ')}]\n`
    })
    expect(brief(problemsOf(levels.join('')))).toEqual(['1:1 : holds too much'])
  })

  it('refuses an alias of itself, and depth without end', () => {
    expect(brief(problemsOf('a: &a [*a]\n')).join()).toContain('is nested too deeply')
    expect(problemsOf('['.repeat(100_000))).not.toEqual([])
    expect(brief(problemsOf(`a: ${'['.repeat(50)}${']'.repeat(50)}`)).join()).toContain(
      'too deeply',
    )
  })
})

describe('what makes no sense', () => {
  /** Case and text; ¦ stands before the place that the problem must point at. */
  it.each([
    ['an unknown facilitator', HEAD.replace('x402-org', '¦x402-orgg') + ROUTE],
    ['an upstream that is not there', `${HEAD}routes: {/a: {price: free, upstream: ¦app}}`],
    ['credentials in a URL', HEAD.replace('"http://', '¦"http://u:p@') + ROUTE],
    ['a query in a URL', HEAD.replace('"http://', '¦"http://a?b').concat(ROUTE)],
    ['another protocol', HEAD.replace('"http:', '¦"ftp:') + ROUTE],
    ['a path in publicUrl', `${HEAD}${ROUTE}server: {publicUrl: ¦"https://x.example/api"}`],
    ['a range that is none', `${HEAD}${ROUTE}server: {trustedProxies: [¦10.0.0.0/33]}`],
    ['a host with a port', `${HEAD}${ROUTE}server: {hosts: [¦"a.example:80"]}`],
    ['a host that is a URL', `${HEAD}${ROUTE}server: {hosts: [¦"https://a.example"]}`],
    ['any host beside one', `${HEAD}${ROUTE}server: {hosts: [a.example, ¦"*"]}`],
    ['half an address', `${HEAD}${ROUTE}server: {trustedProxies: [¦10.1]}`],
    ['two listeners on one port', `${HEAD}${ROUTE}admin: {listen: ¦8402}`],
    ['a store of another kind', `${HEAD}${ROUTE}store: ¦mysql://db`],
    ['a store with a host', `${HEAD}${ROUTE}store: ¦sqlite://data/x.db`],
    ['an origin with a path', `${HEAD}${ROUTE}cors: {origins: [¦https://a.example/]}`],
    ['an asterisk among origins', `${HEAD}${ROUTE}cors: {origins: [¦"*", https://a.example]}`],
    ['routes that overlap', `${HEAD}routes: {"/a/{x}": free, ¦"/a/{y}": free}`],
    ['a route that is none', `${HEAD}routes: {¦a/b: free}`],
    ['no routes', `${HEAD}¦routes: {}`],
    ['a payment that expires too soon', `${HEAD}routes: {/a: {price: $1, timeout: ¦105s}}`],
    ['the same way to pay twice', HEAD.replace('sepolia]', 'sepolia, ¦eip155:84532]') + ROUTE],
    ['an unknown token', HEAD.replace('base-sepolia', '{network: base, asset: ¦DAI}') + ROUTE],
    [
      'part of a second',
      HEAD.replace('base-sepolia', '{network: base-sepolia, maxTimeout: ¦60500ms}') + ROUTE,
    ],
    ['a bad media type', `${HEAD}routes: {/a: {price: free, mimeType: ¦"a\\r\\nb"}}`],
    ['a name that metrics cannot have', HEAD.replace('api:', '¦"a b":') + ROUTE],
  ])('refuses %s', (_, marked) => {
    const before = marked.slice(0, marked.indexOf('¦')).split('\n')
    const [problem, ...rest] = problemsOf(marked.replace('¦', ''))
    expect(rest).toEqual([])
    expect(problem).toMatchObject({
      line: before.length,
      column: (before.at(-1) ?? '').length + 1,
      cure: expect.stringMatching(/[.?]$/),
    })
  })

  it.each([
    ['payTo', /^payTo:.*\n/m, 'there is no payTo'],
    ['accepts', /^accepts:.*\n/m, 'there is a price, and no accepts'],
    ['facilitators', /^facilitators:.*\n/m, 'there is a price, and no facilitators'],
  ])('refuses a price without %s', (_, line, message) => {
    const problems = problemsOf(`${HEAD.replace(line, '')}routes: {/a: $1, /b: $2}`)
    expect(problems.map(problem => problem.message)).toEqual([expect.stringContaining(message)])
  })

  it('asks which upstream, where there are several', () => {
    const text = `${HEAD.replace('3000"}', '3000", b: "http://b"}')}routes: {/a: free}`
    expect(problemsOf(text)).toMatchObject([{ cure: 'Add upstream: and one of api, b.' }])
  })

  it('blames an entry that is too short for every route once', () => {
    const text = HEAD.replace('base-sepolia', '{network: base-sepolia, maxTimeout: 45s}')
    const problems = problemsOf(`${text}routes: {/a: $1, /b: $1}`)
    expect(problems).toMatchObject([{ item: 'accepts[0].maxTimeout' }])
    expect(problems[0]?.cure).toContain('46s')
  })
})

describe('addresses', () => {
  it.each([
    ['a slip in a checksummed one', `${PAY_TO.slice(0, -1)}c`, 'wrong checksum'],
    ['a short one', PAY_TO.slice(0, -1), '39 hex digits'],
    ['a private key', `0x${'ab'.repeat(32)}`, 'like a private key'],
    ['the zero address', `0x${'0'.repeat(40)}`, 'zero address'],
    ['a name', 'vitalik.eth', 'is not an EVM address'],
  ])('refuses %s without repeating it', (_, address, message) => {
    const problems = problemsOf(HEAD.replace(PAY_TO, address) + ROUTE)
    expect(problems).toMatchObject([{ item: 'payTo', line: 2, column: 8 }])
    expect(problems[0]?.message).toContain(message)
    expect(JSON.stringify(problems)).not.toContain(address)
  })
})

describe('headers', () => {
  const withHeaders = (headers: string) =>
    problemsOf(
      HEAD.replace('"http://localhost:3000"', `{url: "http://a", headers: ${headers}}`) + ROUTE,
    )

  it.each([
    ['{"a b": x}', 'is not the name of a header'],
    ['{Connection: x}', 'is set by the connection'],
    ['{Transfer-Encoding: x}', 'is set by the connection'],
    ['{X-PAYMENT: x}', 'only farebox sets'],
    ['{Payment-Signature: x}', 'only farebox sets'],
    ['{Farebox-Payer: x}', 'only farebox sets'],
    ['{a: "x\\r\\nb: c"}', 'line break'],
    ['{a: "x "}', 'a space around it'],
    ['{a: "é"}', 'beyond ASCII'],
    ['{a: x, A: y}', 'is written twice'],
  ])('refuses %s', (headers, message) => {
    const problems = withHeaders(headers)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.message).toContain(message)
  })
})
