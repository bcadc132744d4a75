"""How a story begins and how it closes. A castle and a ship have openings, and plots, of their own."""

OPENINGS = """
story:
-14 <opening>[ <habit>|2:] <plot>
-1 <bedtime opening>[ <habit>|] <plot>
-1 <castle opening>[ <habit>|] <indoor plot>
-1 <ship opening>[ <habit>|] <indoor plot>

plot:
- <lost>[3: <lost end>|2: <day close>| <lost end> <day close>]
- <wish>[3: <wish end>|2: <close>| <wish end> <close>]
- <quarrel>[3: <quarrel end>|2: <close>| <quarrel end> <close>]
- <animal>[3: <animal end>|2: <close>| <animal end> <close>]
- <fear>[3: <fear end>|2: <close>| <fear end> <close>]
- <broken>[3: <broken end>|2: <close>| <broken end> <close>]
- <gift>[3: <gift end>|2: <close>| <gift end> <close>]
- <seed>[3: <seed end>|2: <close>| <seed end> <close>]

indoor plot:
- <lost>[3: <lost end>|2: <day close>| <lost end> <day close>]
- <broken>[3: <broken end>|2: <close>| <broken end> <close>]
- <gift>[3: <gift end>|2: <close>| <gift end> <close>]

opening:
-3 Once upon a time, there was <a kind> {new hero.child} named {hero} who lived {new place.at}.
-2 Once upon a time, {new place.at}, there lived <a kind> {new hero.child} named {hero}.
- Once there was <a kind> {new hero.child} called {hero}. {He} lived with {his} <people at home> {new place.at}.
-2 {new hero} was <a kind> {hero.child} who lived {new place.at}.
- {new hero} lived with {his} <people at home> {new place.at}.
- This is the story of <a kind> {new hero.child} named {hero}, who lived {new place.at}.
- Do you know {new hero}? {He} was <a kind> {hero.child}, and {he} lived {new place.at}.
- Far away, {new place.at}, there lived <a kind> {new hero.child} whose name was {hero}.
- A {new hero.child} named {hero} lived with {his} <people at home> {new place.at}.

a kind:
- a little
- a young
- a small
- a cheerful
- a curious
- a clever
- a friendly
- a lively
- a kind little
- a quiet little
- an eager young
- a gentle
- a merry little
- a dreamy

people at home:
- mother and father
- grandparents
- mother and two brothers
- father and baby sister
- big family

bedtime opening:
- A [boy told his|girl told her] {new hero.sibling} a bedtime story about a <wonder> <creature>. {Hero}, who loved
  stories, fell asleep and dreamed of it all night. {He} lived {new place.at}.

wonder:
- flying
- talking
- dancing
- laughing
- tiny

creature:
- cat
- horse
- dragon
- whale
- teapot

castle opening:
- The kingdom was [at peace|quiet|full of flowers], and a [brave|young|merry] knight named {new hero} lived in the old
  castle.{place=castle}
- The kingdom was at war, and a brave knight named {new hero} kept watch in the old castle. When the war was over,
  {hero} danced for joy.{place=castle}

ship opening:
- A pirate ship sailed across the [wide|blue|sparkling] sea. The youngest pirate on board was a {new hero.child} named
  {hero}.{place=ship}
- A pirate ship sailed from island to island. On it lived a [merry|small|bold] pirate named {new hero}.{place=ship}

habit:
- {He} loved to {place.loves}.
- What {he} liked best was to {place.loves}.
- {Hero} liked to {place.loves}.
- Every <part of the day>, {he} liked to {place.loves}.
- When the weather was fine, {he} liked to {place.loves}.
- Nobody liked to {place.loves} as much as {hero} did.

part of the day:
- morning
- afternoon
- evening

One day:
-2 One day
- One morning
- One afternoon
- One <weather> day
- One <weather> morning

one day:
-2 one day
- one morning
- one <weather> morning
- one <weather> afternoon

weather:
- sunny
- windy
- cloudy
- warm
- cool
- bright
- gray

day close:
-2 That night, {hero} fell asleep with a smile.
- {Hero} went to bed tired and happy.
- When the stars came out, {hero} told them all about it.
- It had been a [good|long|wonderful] day.
- {Hero} yawned, closed {his} eyes, and dreamed of tomorrow.
- It was a day that {hero} never forgot.
- And that is the end of the story.

close:
- And that is the end of the story.
- And if you ask {hero} about it today, {he} will still smile.
- {Hero} never forgot how it had all happened.
- And {hero} was happy for a long time after.
- {Hero} told the story again and again, and it grew a little longer every time.
- And now you know the story of {hero}.
- The end.
"""
