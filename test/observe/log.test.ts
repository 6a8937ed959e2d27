import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, describe, expect, test } from 'vitest'
import { FacilitatorUnavailableError } from '../../src/errors.ts'
import { describeError } from '../../src/observe/describe-error.ts'
import { createLogger, LogFileError, type Logger, type LogLevel } from '../../src/observe/log.ts'
import { paidRequest, unpaidRequest } from './sample-events.ts'

const directory = mkdtempSync(join(tmpdir(), 'farebox-log-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** The lines that are in the file once the logger is closed. */
async function logged(level: LogLevel, write: (logger: Logger) => void): Promise<unknown[]> {
  const destination = join(directory, 'gateway.log')
  const logger = createLogger({ level, destination })
  write(logger)
  await logger.close()
  const written = readFileSync(destination, 'utf8')
  rmSync(destination)
  return written.split('\n').slice(0, -1).map(parseLine)
}

function parseLine(line: string): unknown {
  return JSON.parse(line)
}

test('a request is one line', async () => {
  const lines = await logged('info', logger => logger.observer.requestFinished(unpaidRequest))
  expect(lines).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: 'info',
      msg: 'request',
      requestId: 'r-1',
      method: 'GET',
      route: 'GET /v1/weather/{city}',
      status: 402,
      outcome: 'payment_required',
      durationMs: 1.235,
      clientAddress: '198.51.100.1',
    },
  ])
})

test('a paid request says who paid what, exactly', async () => {
  const lines = await logged('info', logger => logger.observer.requestFinished(paidRequest))
  expect(lines).toMatchObject([
    {
      upstreamMs: 12,
      payment: {
        id: 'p-1',
        network: 'eip155:84532',
        asset: 'USDC',
        amount: '0.0015',
        payer: '0xpayer',
        transaction: '0xhash',
        outcome: 'paid',
        charged: true,
      },
    },
  ])
})

test('whatever stands in a field, a line stays one line of JSON', async () => {
  const nasty = 'a"b\\c\nd\u2028\u0000\ud800'
  const lines = await logged('info', logger => {
    logger.info(nasty, { nasty })
    logger.info('empty', {})
    logger.info('none')
    logger.info('bigint', { list: [1n] })
  })
  expect(lines).toHaveLength(4)
  expect(lines[0]).toMatchObject({ nasty: expect.stringContaining('a"b\\c\nd') })
  expect(lines[3]).toMatchObject({ msg: 'bigint', fields: 'not serialisable' })
})

test('levels below the chosen one are not written', async () => {
  const write = (logger: Logger): void => {
    logger.debug('debug')
    logger.info('info')
    logger.warn('warn')
    logger.error('error')
  }
  const levels = (lines: unknown[]) => lines.map(line => (line as { level: string }).level) // see parseLine
  expect(levels(await logged('debug', write))).toEqual(['debug', 'info', 'warn', 'error'])
})

test.each([
  ['warn', ['warn', 'error']],
  ['silent', []],
] as const)('level %s writes %j', async (level, expected) => {
  const lines = await logged(level, logger => {
    logger.info('info')
    logger.warn('warn')
    logger.error('error')
  })
  expect(lines).toMatchObject(expected.map(name => ({ level: name })))
})

test('ten thousand lines are all there after close', async () => {
  const lines = await logged('info', logger => {
    for (let index = 0; index < 10_000; index++) logger.info('line', { index })
  })
  expect(lines).toHaveLength(10_000)
  expect(lines.at(-1)).toMatchObject({ index: 9999 })
})

test('other events find their level', async () => {
  const call = { facilitator: 'payai', operation: 'verify', durationMs: 5 } as const
  const lines = await logged('debug', ({ observer }) => {
    observer.facilitatorAnswered({ ...call, outcome: 'valid' })
    observer.facilitatorAnswered({ ...call, outcome: 'no_answer' })
    observer.configReloaded({ ok: true, problems: [] })
    observer.configReloaded({ ok: false, problems: ['gateway.yaml:3:1: bad'] })
    observer.errorReported({ error: new Error('boom'), requestId: 'r-9' })
  })
  expect(lines).toMatchObject([
    { level: 'debug', facilitator: 'payai', operation: 'verify', outcome: 'valid' },
    { level: 'warn', outcome: 'no_answer' },
    { level: 'info', msg: 'configuration reloaded' },
    { level: 'error', problems: ['gateway.yaml:3:1: bad'] },
    { level: 'error', requestId: 'r-9', error: { name: 'Error', message: 'boom' } },
  ])
})

describe('destinations', () => {
  test('none costs nothing and closes', async () => {
    const logger = createLogger({ destination: null })
    logger.error('nobody reads this')
    await logger.close()
  })

  test('a stream gets its lines and is not ended', async () => {
    const chunks: string[] = []
    const stream = new Writable({
      write(chunk, _encoding, done) {
        chunks.push(String(chunk))
        done()
      },
    })
    const logger = createLogger({ destination: stream })
    logger.info('hello')
    await logger.close()
    expect(JSON.parse(chunks.join(''))).toMatchObject({ level: 'info', msg: 'hello' })
    expect(stream.writable).toBe(true)
  })

  test('a stream that takes nothing cannot fill our memory', async () => {
    const stream = new Writable({ write() {} })
    const logger = createLogger({ destination: stream })
    const long = 'x'.repeat(1024 * 1024)
    for (let count = 0; count < 20; count++) logger.info(long)
    expect(stream.writableLength).toBeLessThan(10 * 1024 * 1024)
    stream.destroy()
    await logger.close()
  })

  test('a file that cannot be opened is told at once, with what to do', () => {
    const destination = join(directory, 'missing', 'gateway.log')
    expect(() => createLogger({ destination })).toThrow(LogFileError)
  })

  test('a pipe whose reader is gone breaks neither the caller nor close', async () => {
    const script = `
      import { createLogger } from ${JSON.stringify(import.meta.resolve('../../src/observe/log.ts'))}
      const logger = createLogger({ destination: 1 })
      process.stdin.once('data', async () => {
        process.stdin.destroy()
        for (let index = 0; index < 1000; index++) logger.info('x'.repeat(100))
        await logger.close()
        process.exitCode = 7
      })
    `
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script])
    child.stdout.destroy()
    child.stdin.end('go')
    const stderr = await text(child.stderr)
    const code = child.exitCode ?? (await once(child, 'exit'))[0]
    expect({ code, stderr }).toMatchObject({ code: 7, stderr: expect.stringContaining('EPIPE') })
  })
})

describe('errors', () => {
  test('of ours say what to do, and their causes', () => {
    const cause = Object.assign(new Error('connect refused'), {
      code: 'ECONNREFUSED',
      headers: { authorization: 'secret' },
    })
    const error = new FacilitatorUnavailableError('No answer.', { fix: 'Wait.', cause })
    const described = describeError(error)
    expect(described).toMatchObject({
      code: 'facilitator_unavailable',
      message: 'No answer.',
      fix: 'Wait.',
      cause: { message: 'connect refused', code: 'ECONNREFUSED' },
    })
    expect(JSON.stringify(described)).not.toContain('secret')
  })

  test('of any shape and length are described within bounds', () => {
    const circular = new Error('x'.repeat(100_000))
    circular.cause = circular
    expect(JSON.stringify(describeError(circular)).length).toBeLessThan(30_000)
    expect(describeError(null)).toEqual({ name: 'object', message: 'null' })
    expect(describeError(Symbol('s'))).toEqual({ name: 'symbol', message: 'Symbol(s)' })
    expect(describeError(Object.create(null))).toEqual({ name: 'object', message: 'not an Error' })
  })
})
