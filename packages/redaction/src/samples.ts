import type { Random } from './random.js';

/** Makes one value as people write it. */
export type Sample = (random: Random) => string;

/** Issuers: how numbers begin, how many digits they have, how they are printed in groups. */
const ISSUERS: readonly (readonly [prefixes: readonly string[], length: number, groups: readonly number[]])[] = [
  [['4'], 16, [4, 4, 4, 4]],
  [['4'], 16, [4, 4, 4, 4]],
  [['51', '52', '53', '54', '55', '2221', '2720', '25'], 16, [4, 4, 4, 4]],
  [['34', '37'], 15, [4, 6, 5]],
  [['6011', '65'], 16, [4, 4, 4, 4]],
  [['3528', '3589'], 16, [4, 4, 4, 4]],
  [['36', '300'], 14, [4, 6, 4]],
];

/** The digit that makes a number whole by the formula of Luhn (ISO/IEC 7812-1, annex B). */
export function luhnDigit(digits: string): string {
  let sum = 0;
  for (let i = digits.length - 1, double = true; i >= 0; i--, double = !double) {
    const value = Number(digits[i]) * (double ? 2 : 1);
    sum += value > 9 ? value - 9 : value;
  }
  return String((10 - (sum % 10)) % 10);
}

function grouped(text: string, groups: readonly number[], separator: string): string {
  const ends = groups.map((_, i) => groups.slice(0, i + 1).reduce((sum, size) => sum + size, 0));
  return [0, ...ends]
    .map((start, i) => text.slice(start, ends[i]))
    .filter((part) => part !== '')
    .join(separator);
}

const card: Sample = (random) => {
  const [prefixes, length, groups] = random.pick(ISSUERS);
  const prefix = random.pick(prefixes);
  const body = prefix + random.form('#'.repeat(length - 1 - prefix.length));
  return grouped(body + luhnDigit(body), groups, random.pick(['', ' ', ' ', '-', '\u00a0']));
};

/** Basic account numbers by country, as the SWIFT registry describes them. */
const ACCOUNTS: Readonly<Record<string, string>> = {
  DE: '##################',
  GB: '@@@@##############',
  FR: '#######################',
  ES: '####################',
  AT: '################',
  CH: '#################',
  NL: '@@@@##########',
  IT: '@######################',
  BE: '############',
  IE: '@@@@##############',
  PL: '########################',
};

function checkDigits(country: string, account: string): string {
  const digits = [...account, ...country, '0', '0'].map((sign) => String(Number.parseInt(sign, 36))).join('');
  return String(98n - (BigInt(digits) % 97n)).padStart(2, '0');
}

const iban: Sample = (random) => {
  const country = random.pick(Object.keys(ACCOUNTS));
  const account = random.form(ACCOUNTS[country] as string);
  const whole = country + checkDigits(country, account) + account;
  const groups = new Array(Math.floor(whole.length / 4)).fill(4);
  const written = grouped(whole, groups, random.pick(['', ' ', ' ', ' ', '-']));
  return random.chance(0.04) ? written.toLowerCase() : written;
};

const ssnDigits = (random: Random) => {
  let area = random.int(1, 899);
  if (area === 666) area = 667;
  return [String(area).padStart(3, '0'), String(random.int(1, 99)).padStart(2, '0'), String(random.int(1, 9999)).padStart(4, '0')];
};
const ssn: Sample = (random) => ssnDigits(random).join(random.pick(['-', '-', '-', ' ']));
/** As it stands behind its name only. */
const bareSsn: Sample = (random) => ssnDigits(random).join('');

/** National and international forms, by country. Area codes that exist; the rest is drawn. */
const PHONES: Readonly<Record<string, readonly string[]>> = {
  us: [
    '(212) N##-####',
    '312-N##-####',
    '415.N##.####',
    '+1 617 N## ####',
    '+1-206-N##-####',
    '1-800-N##-####',
    '(303)N##-####',
    '+1303N######',
    '1 (404) N##-####',
  ],
  gb: [
    '020 7### ####',
    '0161 4## ####',
    '07700 9#####',
    '07### ######',
    '+44 20 8### ####',
    '+44 (0)113 2## ####',
    '+447911######',
    '(0131) 5## ####',
    '0800 1## ####',
  ],
  de: [
    '030 N#######',
    '030/N#######',
    '089 N######',
    '089-N######',
    '0171 N######',
    '0151-1#######',
    '+49 40 N#######',
    '+49 (0)30 N#######',
    '0049 221 N######',
    '(0711) N######',
    '0221 / N### ###',
    '+49171N######',
  ],
  fr: [
    '01 4# ## ## ##',
    '06 1# ## ## ##',
    '06.2#.##.##.##',
    '04-72-##-##-##',
    '+33 1 5# ## ## ##',
    '+33 6 3# ## ## ##',
    '+336########',
    '0033 1 44 ## ## ##',
  ],
  es: [
    '914 ### ###',
    '91-4##-##-##',
    '91 4## ## ##',
    '93 2## ## ##',
    '6## ### ###',
    '6## ## ## ##',
    '+34 91 5## ## ##',
    '+34 6## ### ###',
    '0034 93 3## ## ##',
  ],
};
/** Digits only: nobody knows them for a phone number but by the words before. */
const BARE_PHONES = ['212N######', '0171N######', '07911######', '0612######', '612######', '030N#######'];

const phoneOf =
  (...countries: readonly string[]): Sample =>
  (random) =>
    random.form(random.pick(PHONES[random.pick(countries)] as readonly string[]));

const FIRST = [
  'ann',
  'Anna',
  'j',
  'marie',
  'lukas',
  'Jean-Luc',
  'sofia',
  'o.brien',
  'karl_heinz',
  'maria',
  'dr.weber',
  'billing',
  'Front.Desk',
  'p',
];
const LAST = ['mueller', 'smith', 'Garcia', 'dupont', "o'neill", 'weber84', 'lopez-ruiz', 'kowalski', 'martin', 'lee', 'nguyen'];
const HOSTS = [
  'example.com',
  'clinic.example',
  'gmail.com',
  'mail.praxis-weber.de',
  'hopital.fr',
  'nhs.uk',
  'web.de',
  'Example.ORG',
  'salud.es',
  'st-mary.health',
  'uni-koeln.de',
  'my-gp.co.uk',
];

const email: Sample = (random) => {
  const local = random.pick([
    () => `${random.pick(FIRST)}.${random.pick(LAST)}`,
    () => random.pick(FIRST) + random.pick(LAST),
    () => `${random.pick(FIRST)}${random.int(1, 99)}`,
    () => `${random.pick(FIRST)}+${random.pick(['clinic', 'appt', 'news'])}`,
    () => `${random.pick(FIRST)}_${random.pick(LAST)}`,
  ])();
  return `${local}@${random.pick(HOSTS)}`;
};

const byte = (random: Random) => random.int(0, 255);
const ipv4: Sample = (random) => `${random.int(1, 223)}.${byte(random)}.${byte(random)}.${random.int(1, 254)}`;
const ip: Sample = (random) =>
  random.pick<() => string>([
    () => ipv4(random),
    () => `192.168.${byte(random)}.${random.int(1, 254)}`,
    () => `10.${byte(random)}.${byte(random)}.${random.int(1, 254)}`,
    () => random.form('2001:db8:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx'),
    () => random.form('2001:db8::xxxx:#xxx'),
    () => random.form('fe80::x#xx:xxxx:xxxx:xxxx'),
    () => `::ffff:192.0.2.${random.int(1, 254)}`,
    () => random.form('2A02:8#0#:0:1::#').toUpperCase(),
  ])();

const record: Sample = (random) =>
  random.form(
    random.pick([
      '#######',
      '########',
      'N#####',
      'A########',
      '@@-######',
      '##-##-##',
      '@######',
      '###-###-###',
      '@@####-##',
      'P-####-####',
      'WX/####/##',
    ]),
  );

const MONTHS: Readonly<Record<string, readonly string[]>> = {
  en: ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'],
  de: ['Januar', 'Februar', 'März', 'April', 'Mai', 'Juni', 'Juli', 'August', 'September', 'Oktober', 'November', 'Dezember'],
  fr: ['janvier', 'février', 'mars', 'avril', 'mai', 'juin', 'juillet', 'août', 'septembre', 'octobre', 'novembre', 'décembre'],
  es: ['enero', 'febrero', 'marzo', 'abril', 'mayo', 'junio', 'julio', 'agosto', 'septiembre', 'octubre', 'noviembre', 'diciembre'],
};

/** A day in the years given, as it is written in a language. */
function day(random: Random, language: string, [from, to]: readonly [number, number]): string {
  const [d, m, year] = [random.int(1, 28), random.int(1, 12), random.int(from, to)];
  const [dd, mm] = [String(d).padStart(2, '0'), String(m).padStart(2, '0')];
  const month = (MONTHS[language] as readonly string[])[m - 1] as string;
  const forms: Readonly<Record<string, readonly string[]>> = {
    en: [
      `${mm}/${dd}/${year}`,
      `${year}-${mm}-${dd}`,
      `${d} ${month} ${year}`,
      `${month} ${d}, ${year}`,
      `${d}-${month.slice(0, 3)}-${year}`,
      `${m}/${d}/${String(year).slice(2)}`,
      `${month.slice(0, 3)} ${d}, ${year}`,
    ],
    de: [`${dd}.${mm}.${year}`, `${d}.${m}.${year}`, `${d}. ${month} ${year}`, `${dd}.${mm}.${String(year).slice(2)}`],
    fr: [`${dd}/${mm}/${year}`, `${d} ${month} ${year}`, `${dd}.${mm}.${year}`],
    es: [`${dd}/${mm}/${year}`, `${d} de ${month} de ${year}`, `${dd}-${mm}-${year}`],
  };
  return random.pick(forms[language] as readonly string[]);
}
const birthIn =
  (language: string): Sample =>
  (random) =>
    day(random, language, [1930, 2019]);
/** Days that are nobody's birthday. */
export const dateIn =
  (language: string): Sample =>
  (random) =>
    day(random, language, [2024, 2028]);

const secret = (random: Random, length: number) => random.form(Array.from({ length }, () => random.pick(['x', '@', '#', 'x'])).join(''));
const url: Sample = (random) =>
  random.pick<() => string>([
    () => `https://portal.clinic.example/reset?token=${secret(random, 32)}`,
    () => `https://app.example.com/login?user=7&key=${secret(random, 24)}`,
    () => `https://files.example.com/report.pdf?Expires=1790000000&Signature=${secret(random, 40)}`,
    () => `https://video.example.com/join/${secret(random, 36)}`,
    () => `https://ann:${secret(random, 10)}@results.example.com/latest`,
    () => `https://id.example.com/callback#access_token=${secret(random, 40)}&state=1`,
    () => `http://survey.example.org/s?sid=${secret(random, 20)}`,
    () => `https://my.health.example/invite?lang=de&code=${secret(random, 12)}`,
  ])();

/** What is looked for, as it is written; a name may say of which country or language it is. */
export const samples: Readonly<Record<string, Sample>> = {
  card,
  iban,
  ssn,
  'ssn.bare': bareSsn,
  phone: phoneOf('us', 'us', 'gb'),
  'phone.de': phoneOf('de'),
  'phone.fr': phoneOf('fr'),
  'phone.es': phoneOf('es'),
  'phone.plus': (random) => random.form(random.pick(['+1212N######', '+4930N#######', '+33612######', '+4479########'])),
  'phone.bare': (random) => random.form(random.pick(BARE_PHONES)),
  email,
  ip,
  'ip.v4': ipv4,
  record,
  birth: birthIn('en'),
  'birth.de': birthIn('de'),
  'birth.fr': birthIn('fr'),
  'birth.es': birthIn('es'),
  url,
};
