import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'

/**
 * The habits of this house, as far as a machine can hold us to them. A rule that has an exception
 * names it here, with the reason.
 */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter(file => /\.(ts|mjs)$/.test(file))
const sources = files.filter(file => file.startsWith('src/'))
const read = (file: string): string => readFileSync(file, 'utf8')

/** Rooms that do no I/O. They may import one another, and of libraries only those named. */
const PURE_LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  core: [],
  pricing: [],
  routing: [],
  x402: [
    // For one pure function: keccak-256.
    'node:crypto',
    'zod',
    '@bitauth/libauth/build/lib/crypto/secp256k1.js',
  ],
  flow: ['node:crypto', 'node:stream'],
}

/** Libraries that belong to one place, so that they can be replaced there. */
const LIBRARY_HOMES: Readonly<Record<string, readonly string[]>> = {
  undici: ['src/upstream/', 'src/facilitator/http-client.ts', 'src/cli/pay/http.ts'],
  'prom-client': ['src/observe/'],
  pino: ['src/observe/log.ts'],
  jose: ['src/access/'],
  'ipaddr.js': ['src/address-ranges.ts'],
  yaml: ['src/config/', 'src/networks/data-file.ts'],
  commander: ['src/cli/'],
  '@clack/prompts': ['src/cli/'],
  // Beside the ledger, the local facilitator's journal of what it signed.
  'node:sqlite': ['src/ledger/', 'src/facilitator/local/outbox.ts'],
  viem: ['src/networks/', 'src/facilitator/local/', 'src/cli/'],
  'viem/accounts': ['src/facilitator/local/', 'src/cli/'],
  '@x402/evm/exact/facilitator': ['src/facilitator/local/'],
  'node:cluster': ['src/cli/workers/'],
  pg: ['src/ledger/'],
  'rate-limiter-flexible': ['src/limits/'],
  'node:http': ['src/http/', 'src/cli/'],
  'node:http2': ['src/http/', 'src/upstream/'],
  'node:https': ['src/http/', 'src/cli/'],
}

/** They alone pick adapters; nothing but what starts them imports them. */
const COMPOSITION_ROOTS = ['src/gateway.ts', 'src/facilitator-service.ts']
const COMPOSITION_DOORS = ['src/main.ts', 'src/index.ts']
/** The rooms of the first one, which nobody else enters. */
const COMPOSITION_ROOM = 'src/gateway/'

interface Import {
  readonly file: string
  readonly specifier: string
  readonly typeOnly: boolean
  /** `import(…)`: loaded when that line runs. */
  readonly dynamic: boolean
}

function importsOf(file: string): Import[] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s+)?[^'"`;]*?from\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g
  return [...read(file).matchAll(pattern)].map(([, type, from, dynamic]) => ({
    file,
    specifier: from ?? dynamic ?? '',
    typeOnly: type !== undefined,
    dynamic: dynamic !== undefined,
  }))
}

const imports = sources.flatMap(importsOf)
const roomOf = (file: string): string => file.split('/')[1] ?? ''
const targetOf = ({ file, specifier }: Import): string => normalize(join(dirname(file), specifier))

describe('imports point inward', () => {
  test('core imports nothing beyond core', () => {
    const outward = imports.filter(
      one => roomOf(one.file) === 'core' && !targetOf(one).startsWith('src/core/'),
    )
    expect(outward).toEqual([])
  })

  test('pure rooms import no library but those allowed to them', () => {
    const strayed = imports.filter(({ file, specifier, typeOnly }) => {
      const allowed = PURE_LIBRARIES[roomOf(file)]
      return allowed && !specifier.startsWith('.') && !typeOnly && !allowed.includes(specifier)
    })
    expect(strayed).toEqual([])
  })

  test('the flow knows adapters only by their types', () => {
    const adapters = [
      ...[
        'ledger',
        'facilitator',
        'upstream',
        'http',
        'observe',
        'config',
        'networks',
        'access',
        'limits',
      ],
    ]
    const strayed = imports.filter(
      one =>
        roomOf(one.file) === 'flow' &&
        !one.typeOnly &&
        // An interface, with the error that it rejects with and the bound that it keeps.
        targetOf(one) !== 'src/networks/chain-reader.ts' &&
        adapters.includes(roomOf(targetOf(one))),
    )
    expect(strayed).toEqual([])
  })

  test('an adapter does not reach into another adapter', () => {
    const adapters = ['ledger', 'facilitator', 'upstream', 'http', 'observe', 'access', 'limits']
    const strayed = imports.filter(
      one =>
        adapters.includes(roomOf(one.file)) &&
        one.specifier.startsWith('.') &&
        !one.typeOnly &&
        adapters.includes(roomOf(targetOf(one))) &&
        roomOf(targetOf(one)) !== roomOf(one.file),
    )
    expect(strayed).toEqual([])
  })

  test('nothing imports a composition root but its doors', () => {
    const strayed = imports.filter(
      one =>
        COMPOSITION_ROOTS.includes(targetOf(one)) &&
        !COMPOSITION_DOORS.includes(one.file) &&
        !one.file.startsWith('src/cli/'),
    )
    const intruders = imports.filter(
      one =>
        targetOf(one).startsWith(COMPOSITION_ROOM) &&
        one.file !== 'src/gateway.ts' &&
        !one.file.startsWith(COMPOSITION_ROOM),
    )
    expect([...strayed, ...intruders]).toEqual([])
  })

  test('each library has one home', () => {
    const strayed = imports.filter(({ file, specifier, typeOnly }) => {
      const homes = LIBRARY_HOMES[specifier]
      return homes && !typeOnly && !homes.some(home => file.startsWith(home))
    })
    expect(strayed).toEqual([])
  })
})

/** Files that are loaded with a file, whether or not anything in them is ever called. */
function loadedWith(root: string, seen = new Set<string>()): Set<string> {
  if (seen.has(root)) return seen
  seen.add(root)
  const loaded = imports.filter(
    one => one.file === root && !one.typeOnly && !one.dynamic && one.specifier.startsWith('.'),
  )
  for (const one of loaded) loadedWith(targetOf(one), seen)
  return seen
}

/** Loaded where they are needed: most gateways are not, and every start would pay for them. */
const NOT_AT_START = /^(viem|pg|rate-limiter-flexible|@x402\/evm|@clack\/prompts)\b/

test('a gateway starts without the libraries that few gateways need', () => {
  const loaded = loadedWith('src/gateway.ts')
  expect(loaded.size).toBeGreaterThan(100)
  const heavy = imports.filter(
    ({ file, specifier, typeOnly, dynamic }) =>
      loaded.has(file) && !typeOnly && !dynamic && NOT_AT_START.test(specifier),
  )
  expect(heavy).toEqual([])
})

describe('sizes', () => {
  test('the corridor stays under 70 lines', () => {
    const corridor = read('src/flow/handle-request.ts')
    const body = corridor.slice(corridor.indexOf('export async function handleRequest'))
    expect(body.split('\n').length).toBeLessThan(70)
  })

  test('no file has over 300 lines', () => {
    expect(sources.filter(file => read(file).split('\n').length > 300)).toEqual([])
  })

  // The formatter keeps code within its columns; strings it may not break, and comments it does
  // not.
  test('no comment is wider than 100 columns', () => {
    const wide = offences(line => [...line].length > 100 && /^\s*(\/\*|\*|\/\/)/.test(line))
    expect(wide).toEqual([])
  })

  test('no function has over 70 lines', () => {
    const long = sources.flatMap(file =>
      functionLengths(read(file))
        .filter(({ lines }) => lines > 70)
        .map(({ name, lines }) => `${file}: ${name} has ${lines} lines`),
    )
    expect(long).toEqual([])
  })
})

describe('words', () => {
  test('every "as" has its reason on the line', () => {
    const bare = offences((line, code) => {
      const cast = /\S\s+as\s+(?!const\b)[A-Za-z({[(]/.test(code)
      const renames = /^\s*(import|export)\b|^\s*(type )?[\w$]+ as [\w$]+,?$|\} from /.test(line)
      return cast && !renames && !/\/\/ \S/.test(line)
    })
    expect(bare).toEqual([])
  })

  test('nothing is left for later', () => {
    expect(offences(line => /\b(TODO|FIXME|XXX|HACK)\b/.test(line))).toEqual([])
  })

  test('no file is a drawer for odds and ends', () => {
    const drawers = files.filter(file =>
      /(^|\/)(utils?|helpers?|misc|common|index)\.ts$/.test(file),
    )
    // The embedding API's one door.
    expect(drawers.filter(file => file !== 'src/index.ts')).toEqual([])
  })
})

/** Lines of src/ that break a rule, each with its place. `code` is the line without its strings. */
function offences(breaks: (line: string, code: string) => boolean): string[] {
  return sources.flatMap(file => {
    const lines = read(file).split('\n')
    const code = withoutText(read(file)).split('\n')
    return lines.flatMap((line, index) =>
      breaks(line, code[index] ?? '') ? [`${file}:${index + 1}: ${line.trim()}`] : [],
    )
  })
}

/** Blanks comments and strings and keeps the lines. */
function withoutText(source: string): string {
  const text = /\/\*[\s\S]*?\*\/|\/\/.*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g
  return source.replace(text, found => found.replace(/[^\n]/g, ' '))
}

/** Functions and methods by their indentation: the formatter guarantees it. */
function functionLengths(source: string): { name: string; lines: number }[] {
  const lines = source.split('\n')
  return lines.flatMap((line, start) => {
    const head =
      /^(\s*)(?:export )?(?:static |override |async )*(?:function )?(\w+)(?:<.*>)?\(.*\{$/.exec(
        line,
      )
    const name = head?.[2]
    if (!head || !name || /^(if|for|while|switch|catch|return)$/.test(name)) return []
    const end = lines.findIndex((other, index) => index > start && other === `${head[1]}}`)
    return end === -1 ? [] : [{ name, lines: end - start + 1 }]
  })
}
