/** Pre-shared keys that we make. */
import { randomBytes } from 'node:crypto'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._'
/** 48 of the 64 characters that AWS takes: 288 bits; it must not begin with 0. */
export function presharedKey(): string {
  for (;;) {
    const key = [...randomBytes(48)].map((byte) => alphabet[byte & 63]).join('')
    if (!key.startsWith('0')) return key
  }
}
