import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { z } from 'zod'
import { spawnTied, type TiedProcess } from './tied-process.ts'

/** One request as nginx read it. Text has one character a byte. */
export interface NginxSeen {
  readonly method: string
  /** As it came in the request line. */
  readonly target: string
  readonly body: string
  /** 200: it was read whole and passed on. */
  readonly status: number
  /** By name in lower case; only those that were asked for, and that came. */
  readonly headers: ReadonlyMap<string, string>
}

export interface Nginx {
  /** The socket that it listens on. */
  readonly socket: string
  /** What it has read since it was last asked, in the order in which it was done with it. */
  take(): Promise<NginxSeen[]>
  /** How often it met bytes that it does not take for HTTP. */
  refused(): Promise<number>
  close(): Promise<void>
}

const START_TIMEOUT_MS = 15_000

/**
 * Why there is no nginx to test with; null: there is one. Throws where there has to be one, which
 * is what `.ci/run` says with FAREBOX_NGINX=required.
 */
export function whyNoNginx(): string | null {
  if (findNginx() !== null) return null
  const reason = 'nginx is not installed (Debian: nginx-light)'
  if (process.env['FAREBOX_NGINX'] === 'required') throw new Error(`FAREBOX_NGINX: ${reason}.`)
  return reason
}

function findNginx(): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map(folder => join(folder, 'nginx')).find(file => existsSync(file)) ?? null
}

/**
 * Starts nginx, which answers every request with 200 once it has read all of it.
 *
 * It listens on a socket of its own folder, so that no port has to be guessed, and writes down what
 * its own parser made of a request: the log is what it would act upon.
 *
 * @param headers Names in lower case of the headers that it writes down.
 */
export async function startNginx(headers: readonly string[] = []): Promise<Nginx> {
  const binary = findNginx()
  if (binary === null) throw new Error('There is no nginx.')
  const folder = mkdtempSync(join(tmpdir(), 'farebox-nginx-'))
  const names = [...new Set(headers)]
  const socket = join(folder, 'nginx.sock')
  writeFileSync(join(folder, 'nginx.conf'), configuration(folder, names))
  const process = spawnTied(binary, ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'])
  const close = async (): Promise<void> => {
    await process.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await listening(process)
    const access = await follow(join(folder, 'access.log'))
    const errors = await follow(join(folder, 'error.log'))
    let refused = 0
    return {
      socket,
      async take() {
        await settle(socket)
        return (await access.lines()).map(line => readLine(line, names)).filter(isNotOurs)
      },
      async refused() {
        await settle(socket)
        refused += (await errors.lines()).filter(line => / client sent /.test(line)).length
        return refused
      },
      async close() {
        await Promise.all([access.close(), errors.close()])
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

const SETTLE = '/farebox-settle'

/**
 * The outer server reads a request whole before it asks the inner one. As lenient about names as it
 * can be, as strict about nothing as it comes.
 */
function configuration(folder: string, headers: readonly string[]): string {
  const variable = (name: string): string => `$http_${name.replaceAll(/[^a-z0-9]/g, '_')}`
  const fields = headers.map(name => `,"${variable(name)}"`).join('')
  return `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
error_log error.log info;
events {}
http {
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  log_format seen escape=json '["$request_method","$request_uri","$request_body","$status"${fields}]';
  server {
    listen unix:${folder}/inner.sock;
    access_log off;
    return 200 ok;
  }
  server {
    listen unix:${folder}/nginx.sock;
    access_log access.log seen;
    keepalive_requests 1000000;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    client_header_buffer_size 64k;
    large_client_header_buffers 8 64k;
    underscores_in_headers on;
    ignore_invalid_headers off;
    merge_slashes off;
    location / {
      proxy_method GET;
      proxy_pass http://unix:${folder}/inner.sock:/;
      proxy_pass_request_body off;
      proxy_pass_request_headers off;
      proxy_ignore_client_abort on;
    }
  }
}
`
}

function listening({ child }: TiedProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = (why: string): void => {
      clearTimeout(timer)
      reject(new Error(`nginx did not start: ${why}\n${said.trim()}`.trim()))
    }
    const timer = setTimeout(() => fail(`silent for ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS)
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      // It says so after it has opened its sockets.
      if (!said.includes('event method')) return
      clearTimeout(timer)
      resolve()
    })
    child.stdout?.resume()
    child.once('error', error => fail(error.message))
    child.once('exit', code => fail(`it ended with code ${code}`))
  })
}

/**
 * Of two requests on one connection, the second is read when the first was written down, and all
 * that was over before with it.
 */
function settle(socket: string): Promise<void> {
  const ask = `GET ${SETTLE} HTTP/1.1\r\nHost: nginx\r\n`
  return new Promise((resolve, reject) => {
    const client = connect({ path: socket })
    client.on('error', reject)
    client.on('close', () => resolve())
    client.resume()
    client.write(`${ask}\r\n${ask}Connection: close\r\n\r\n`)
  })
}

const isNotOurs = ({ target }: NginxSeen): boolean => target !== SETTLE

interface Followed {
  /** Whole lines that have come since it was last asked. */
  lines(): Promise<string[]>
  close(): Promise<void>
}

async function follow(path: string): Promise<Followed> {
  const file = await open(path, 'r')
  let rest = ''
  return {
    async lines() {
      const lines = (rest + (await readRest(file))).split('\n')
      rest = lines.pop() ?? ''
      return lines
    },
    close: () => file.close(),
  }
}

async function readRest(file: FileHandle): Promise<string> {
  let text = ''
  const buffer = Buffer.alloc(64 * 1024)
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null)
    if (bytesRead === 0) return text
    text += buffer.toString('latin1', 0, bytesRead)
  }
}

function readLine(line: string, names: readonly string[]): NginxSeen {
  const [method = '', target = '', body = '', status = '', ...values] = z
    .array(z.string())
    .parse(JSON.parse(line))
  const headers = names.flatMap((name, index): [string, string][] => {
    const value = values[index] ?? ''
    return value === '' ? [] : [[name, value]]
  })
  return { method, target, body, status: Number(status), headers: new Map(headers) }
}
