import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { Duplex } from 'node:stream'

/** What one parser made of some bytes. */
export interface Reading {
  /** Whole requests: method, target and body, in order. */
  readonly requests: string[]
  /** Names of all their headers, in lower case; not every parser tells. */
  readonly names?: ReadonlySet<string>
  /** It met something that it does not take for HTTP. What follows is not read. */
  readonly broke: boolean
  /** The last request is not whole. */
  readonly unfinished: boolean
  /** What stands behind the last request, which asks to change protocols; null: none does. */
  readonly tunnel?: Buffer | null
}

export type Parser = (bytes: Buffer) => Promise<Reading>

/** @param body One character a byte. */
export function describeRequest(method: string, target: string, body: string): string {
  return JSON.stringify([method, target, body])
}

const describe = (method: string, target: string, body: Buffer): string =>
  describeRequest(method, target, body.toString('latin1'))

/**
 * node:http's own server, as it comes, or as lenient as it can be.
 *
 * @param upgrades Whether it takes requests that ask to change protocols for what they are; else
 *                 they are requests like any other.
 */
export function nodeParser(insecureHTTPParser: boolean, upgrades = false): Parser {
  return bytes =>
    new Promise(resolve => {
      const requests: string[] = []
      const names = new Set<string>()
      let tunnel: Buffer | null = null
      let broke = false
      let unfinished = false
      const server = createServer({ insecureHTTPParser, requireHostHeader: false })
      const take = (request: IncomingMessage, response: ServerResponse): void => {
        response.end()
        const chunks: Buffer[] = []
        for (const name of Object.keys(request.headersDistinct)) names.add(name)
        request.on('error', () => {})
        request.on('data', chunk => chunks.push(chunk))
        request.on('end', () => {
          const { method = '', url = '' } = request
          requests.push(describe(method, url, Buffer.concat(chunks)))
        })
      }
      for (const event of ['request', 'checkContinue', 'checkExpectation']) {
        server.on(event, take)
      }
      if (upgrades) {
        server.on('upgrade', (request: IncomingMessage, _socket, rest) => {
          const { method = '', url = '', headersDistinct } = request
          for (const name of Object.keys(headersDistinct)) names.add(name)
          requests.push(describe(method, url, Buffer.alloc(0)))
          tunnel = rest
        })
      }
      // The connection stays: what was whole before the error is still to be read.
      server.on('clientError', (error: NodeJS.ErrnoException) => {
        if (error.code === 'HPE_INVALID_EOF_STATE') unfinished = true
        else if (error.code !== 'ECONNRESET') broke = true
      })
      const wire = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
      wire.on('error', () => {})
      server.emit('connection', wire)
      wire.push(bytes)
      // Turns of the loop, in which what has been pushed is read, and then the end of it.
      turns(6, () => {
        wire.push(null)
        turns(3, () => {
          wire.destroy()
          resolve({ requests, names, broke, unfinished, tunnel })
        })
      })
    })
}

function turns(count: number, then: () => void): void {
  if (count === 0) then()
  else setImmediate(turns, count - 1, then)
}

/** The little that we need of it; TypeScript has its types in the browser's library only. */
declare const WebAssembly: {
  readonly Module: new (bytes: Buffer) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: object }
}

interface Llhttp {
  readonly memory: { readonly buffer: ArrayBuffer }
  _initialize(): void
  malloc(size: number): number
  free(at: number): void
  llhttp_alloc(type: number): number
  llhttp_free(parser: number): void
  llhttp_execute(parser: number, at: number, length: number): number
  llhttp_get_method(parser: number): number
}

/** llhttp as undici carries it, which is not the one that node:http has. */
export function undiciParser(): Parser {
  const require = createRequire(import.meta.url)
  const { METHODS, TYPE }: { METHODS: Record<string, number>; TYPE: { REQUEST: number } } =
    require('undici/lib/llhttp/constants.js')
  const module = new WebAssembly.Module(require('undici/lib/llhttp/llhttp-wasm.js'))
  const names = new Map(Object.entries(METHODS).map(([name, number]) => [number, name]))
  let requests: string[] = []
  let target: Buffer[] = []
  let body: Buffer[] = []
  const copy = (at: number, length: number): Buffer =>
    Buffer.from(Buffer.from(llhttp.memory.buffer, at, length))
  const env = {
    wasm_on_url: (_parser: number, at: number, length: number) => {
      target.push(copy(at, length))
      return 0
    },
    wasm_on_status: () => 0,
    wasm_on_message_begin: () => {
      target = []
      body = []
      return 0
    },
    wasm_on_header_field: () => 0,
    wasm_on_header_value: () => 0,
    wasm_on_headers_complete: () => 0,
    wasm_on_body: (_parser: number, at: number, length: number) => {
      body.push(copy(at, length))
      return 0
    },
    wasm_on_message_complete: (parser: number) => {
      const method = names.get(llhttp.llhttp_get_method(parser)) ?? ''
      requests.push(describe(method, Buffer.concat(target).toString('latin1'), Buffer.concat(body)))
      return 0
    },
  }
  const { exports } = new WebAssembly.Instance(module, { env })
  const llhttp = exports as Llhttp // what undici's client-h1.js calls
  return async bytes => {
    requests = []
    const parser = llhttp.llhttp_alloc(TYPE.REQUEST)
    const at = llhttp.malloc(bytes.length + 1)
    new Uint8Array(llhttp.memory.buffer).set(bytes, at)
    const error = llhttp.llhttp_execute(parser, at, bytes.length)
    llhttp.free(at)
    llhttp.llhttp_free(parser)
    return { requests, broke: error !== 0, unfinished: false }
  }
}

/** RFC 9112 and nothing else: a parser that shares no line with the others. */
export function plainParser(): Parser {
  return async bytes => {
    const requests: string[] = []
    let rest = bytes.toString('latin1')
    for (;;) {
      const end = rest.indexOf('\r\n\r\n')
      if (end === -1) return { requests, broke: false, unfinished: rest !== '' }
      const [line = '', ...fields] = rest.slice(0, end).split('\r\n')
      const [method = '', target = ''] = line.split(' ')
      const body = readBody(fields, rest.slice(end + 4))
      if (body === 'broken') return { requests, broke: true, unfinished: false }
      if (body === 'unfinished') return { requests, broke: false, unfinished: true }
      requests.push(describe(method, target, Buffer.from(body.text, 'latin1')))
      rest = body.rest
    }
  }
}

type Body = { readonly text: string; readonly rest: string } | 'broken' | 'unfinished'

function readBody(fields: readonly string[], bytes: string): Body {
  const valuesOf = (name: string): string[] =>
    fields
      .map(field => field.split(':'))
      .filter(([field]) => field?.toLowerCase() === name)
      .map(([, ...value]) => value.join(':').trim())
  const codings = valuesOf('transfer-encoding')
  const lengths = valuesOf('content-length')
  if (codings.length + lengths.length > 1) return 'broken'
  if (codings.length === 1) return codings[0] === 'chunked' ? readChunks(bytes) : 'broken'
  const length = Number(lengths[0] ?? '0')
  if (!Number.isSafeInteger(length)) return 'broken'
  if (bytes.length < length) return 'unfinished'
  return { text: bytes.slice(0, length), rest: bytes.slice(length) }
}

function readChunks(bytes: string): Body {
  let text = ''
  let rest = bytes
  for (;;) {
    const end = rest.indexOf('\r\n')
    if (end === -1) return 'unfinished'
    if (!/^[0-9a-f]+$/i.test(rest.slice(0, end))) return 'broken'
    const size = Number.parseInt(rest.slice(0, end), 16)
    const chunk = rest.slice(end + 2)
    if (chunk.length < size + 2) return 'unfinished'
    if (chunk.slice(size, size + 2) !== '\r\n') return 'broken'
    text += chunk.slice(0, size)
    rest = chunk.slice(size + 2)
    if (size === 0) return { text, rest }
  }
}
