import { dateIn, luhnDigit, type Sample } from './samples.js';

/** What looks like it and is something else. */
export const lookalikes: Readonly<Record<string, Sample>> = {
  name: (random) => random.pick(['Ms Weber', 'Mr Okafor', 'Ann', 'Dr. Nguyen', 'Jean', 'Lucía', 'Mrs O’Neill', 'Herr Kaya']),
  digit: (random) => random.form('#'),
  date: dateIn('en'),
  'date.de': dateIn('de'),
  'date.fr': dateIn('fr'),
  'date.es': dateIn('es'),
  time: (random) => `${random.int(7, 18)}:${random.pick(['00', '15', '30', '45'])}${random.pick(['', ' am', ' pm', ''])}`,
  stamp: (random) =>
    random.form(
      `202${random.int(4, 8)}-0${random.int(1, 9)}-1#T0#:${random.int(10, 59)}:${random.int(10, 59)}${random.pick(['Z', '+02:00', '.###Z'])}`,
    ),
  epoch: (random) => random.form('17##########'),
  dose: (random) =>
    random.pick(['500 mg', '2.5 mg', '10 ml', '0.25 mg', '1,000 IU', '75 µg', '20/10 mg', '0,5 g', '3 x 250 mg', '1-0-1', '1-1-1-1']),
  reading: (random) =>
    random.pick(['120/80', '98.6 °F', '37.2 °C', '5.4 mmol/L', '72 bpm', '6.1 %', '143/91 mmHg', '1.73 m²', '4.5-11.0 x 10^9/L', '60 kg']),
  room: (random) => random.form(random.pick(['room 4##', 'Room 2.#1', 'ward 1#B', 'floor 3, desk 1#', 'building 0#, room 1##'])),
  raum: (random) => random.form(random.pick(['Raum 4##', 'Zimmer 2.#1', 'Station 1#B', 'Haus 0#, Raum 1##'])),
  order: (random) =>
    random.form(random.pick(['ORD-2026-######', '#########', '10#-#######-#######', 'PO 45########', 'A#######', '5###########'])),
  tracking: (random) =>
    random.form(random.pick(['1Z999AA1########84', '9400 1### #### #### #### ##', 'JD01##############', '003404########'])),
  uuid: (random) => random.form('xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx'),
  hash: (random) => random.form('x'.repeat(random.pick([7, 16, 40]))),
  isbn: (random) => random.form(random.pick(['978-3-16-######-#', '978##########', '0-306-#####-#', '3-540-#####-X'])),
  version: (random) => random.form(random.pick(['2.#.1#', 'v1.#.3.4', '10.0.19041.1', '6.0.1-rc.2', '24.21.0', '1.2.840.10008.5.1.#'])),
  icd: (random) => random.pick(['E11.9', 'I10', 'F41.1', 'M54.50', 'S72.001A', 'Z00.00', 'J45.909', 'G43.109']),
  price: (random) => random.form(random.pick(['$1,2##.50', '€ 45.00', '1.2##,90 €', 'CHF 1’250.00', '£12.##', '85,00 EUR', 'USD 149.99'])),
  ndc: (random) => random.form(random.pick(['0777-31##-02', '005##-4##-01', '6####-0##-10'])),
  pzn: (random) => random.form('0#######'),
  lot: (random) => random.form(random.pick(['4##-1#-9###', 'L2#######', 'EW0###', 'FF-##-####'])),
  postcode: (random) =>
    random.form(random.pick(['50667 Köln', 'SW1A 2AA', '75008 Paris', '28013 Madrid', 'Boston, MA 021##', '94110-12##'])),
  link: (random) =>
    random.pick([
      'https://clinic.example/visits',
      'https://www.example.com/how-to-prepare-for-your-mri-scan-2026',
      'https://maps.example.com/?q=Main+Street+5',
      random.form('https://portal.example.com/visits/########'),
      random.form('https://api.example.com/v1/notifications/xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx'),
      'https://example.org/faq?lang=en&page=2#parking',
    ]),
  handle: (random) => random.pick(['@carillon', 'user@localhost', '@StMarysClinic', 'pkg@1.2.3', '@types/node@24.0.1', 'three @ 9.50']),
  masked: (random) => random.form(random.pick(['****####', '***-**-####', 'ending in ####', 'xxxx xxxx xxxx ####', '+•• ••• ##'])),
  mac: (random) => random.form('0x:xx:xx:xx:xx:xx').toUpperCase(),
  opening: (random) => random.pick(['08:00-12:30', '9-17', '8.00 - 18.30 Uhr', 'Mon 08-12, 14-18', '24/7', '10:15:30']),
  sample: (random) => random.form(random.pick(['2#-####-0###', 'S-26-0####', '26.1##.0###', '0#-4##-1###'])),
  digital: (random) => random.form('202611##1#3###'),
  place: (random) => random.form(random.pick(['50.9#75, 6.96##', '40.7128, -74.0060', '48°51′24″ 2°21′03″'])),
  imei: (random) => {
    const body = random.form('35########0###');
    return body + luhnDigit(body);
  },
  ean: (random) => random.form(random.pick(['40########', '7#########'])) + random.form('###'),
  /** As long as a card's number, and not one by the last digit. */
  number: (random) => {
    const body = `4${random.form('##############')}`;
    return body + ((Number(luhnDigit(body)) + random.int(1, 9)) % 10);
  },
};
